//! What every record begins with: one byte, the version of its format. The message follows.

use prost::Message;

use crate::error::DecodeError;
use crate::limits::FORMAT_VERSION;

pub(crate) fn encode(message: &impl Message) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + message.encoded_len());
    bytes.push(FORMAT_VERSION);
    message.encode(&mut bytes).expect("a vector has room");
    bytes
}

pub(crate) fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M, DecodeError> {
    let (&version, message) = bytes.split_first().ok_or(DecodeError::Empty)?;
    if version == 0 || FORMAT_VERSION < version {
        return Err(DecodeError::Version { found: version, known: FORMAT_VERSION });
    }
    M::decode(message).map_err(DecodeError::Message)
}
