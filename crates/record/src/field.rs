//! How a domain value stands in a field of a message, and the macros that declare messages.
//!
//! Each declaration is a table of the format: the number of the field on the wire, its name in the domain type, its
//! type on the wire. Reading and writing follow from it, and destructure the domain type without `..`, so that a new
//! field of the engine does not compile until it has its line here. Numbers are never used again for something else.
//!
//! Rules of the wire: zero stands for "none" where ids, texts, SIDs and enumerations are concerned, and a required
//! one that is zero is [`DecodeError::Missing`]; other numbers and booleans that are absent are zero and false.

use std::collections::BTreeSet;
use std::sync::Arc;

use pointsman_engine::{DurationMs, Id, Priority, Sid, Timestamp, Version};
use pointsman_expression::Attributes;

use crate::error::DecodeError;
use crate::tables::{Reader, Writer};

/// A domain value that stands as a `Wire` in a message.
pub(crate) trait Field<Wire>: Sized {
    fn write<'a>(&'a self, writer: &mut Writer<'a>) -> Wire;

    /// - `part`: what is being read, for the error.
    fn read(wire: Wire, part: &'static str, reader: &Reader) -> Result<Self, DecodeError>;
}

/// Declares the message of a struct. Fields that follow from others are named under `derived` instead.
macro_rules! message {
    ($message:ident for $domain:ident {
        $($tag:tt $field:ident: $type:ty [$($kind:tt)*],)*
    } $(derived |$reader:ident| { $($derived:ident: $value:expr,)* })?) => {
        #[derive(Clone, PartialEq, prost::Message)]
        pub(crate) struct $message {
            $(#[prost($($kind)*, tag = $tag)] $field: $type,)*
        }

        impl $crate::field::Field<$message> for $domain {
            fn write<'a>(&'a self, writer: &mut $crate::tables::Writer<'a>) -> $message {
                let Self { $($field,)* $($($derived: _,)*)? } = self;
                $message { $($field: $crate::field::Field::write($field, writer),)* }
            }

            fn read(
                wire: $message,
                _: &'static str,
                reader: &$crate::tables::Reader,
            ) -> Result<Self, $crate::DecodeError> {
                $(
                    let part = concat!(stringify!($domain), ".", stringify!($field));
                    let $field = $crate::field::Field::read(wire.$field, part, reader)?;
                )*
                $(
                    let $reader = reader;
                    $(let $derived = $value;)*
                )?
                Ok(Self { $($field,)* $($($derived,)*)? })
            }
        }

        $crate::field::required!($message for $domain);
    };
}

/// Lets a message stand for a value that must be there.
macro_rules! required {
    ($message:ident for $domain:ty) => {
        impl $crate::field::Field<Option<$message>> for $domain {
            fn write<'a>(&'a self, writer: &mut $crate::tables::Writer<'a>) -> Option<$message> {
                Some($crate::field::Field::write(self, writer))
            }

            fn read(
                wire: Option<$message>,
                part: &'static str,
                reader: &$crate::tables::Reader,
            ) -> Result<Self, $crate::DecodeError> {
                let wire = wire.ok_or($crate::DecodeError::Missing { part })?;
                $crate::field::Field::<$message>::read(wire, part, reader)
            }
        }
    };
}

/// Declares the message of an enum: one of several messages, which live in a module of their own.
macro_rules! variants {
    ($module:ident::$message:ident for $domain:ident {
        $($variant_tag:tt $variant:ident { $($tag:tt $field:ident: $type:ty [$($kind:tt)*],)* })*
    }) => {
        pub(crate) mod $module {
            #[allow(unused_imports, reason = "not every enum holds messages")]
            use super::*;

            #[derive(Clone, PartialEq, prost::Message)]
            pub(crate) struct $message {
                #[prost(oneof = "Variant", tags($($variant_tag),*))]
                pub(super) variant: Option<Variant>,
            }

            #[derive(Clone, PartialEq, prost::Oneof)]
            pub(crate) enum Variant {
                $(#[prost(message, tag = $variant_tag)] $variant($variant),)*
            }

            $(
                #[derive(Clone, PartialEq, prost::Message)]
                pub(crate) struct $variant {
                    $(#[prost($($kind)*, tag = $tag)] pub(super) $field: $type,)*
                }
            )*
        }

        impl $crate::field::Field<$module::$message> for $domain {
            fn write<'a>(&'a self, writer: &mut $crate::tables::Writer<'a>) -> $module::$message {
                let variant = match self {
                    $(Self::$variant { $($field,)* } => $module::Variant::$variant($module::$variant {
                        $($field: $crate::field::Field::write($field, writer),)*
                    }),)*
                };
                $module::$message { variant: Some(variant) }
            }

            fn read(
                wire: $module::$message,
                part: &'static str,
                reader: &$crate::tables::Reader,
            ) -> Result<Self, $crate::DecodeError> {
                Ok(match wire.variant.ok_or($crate::DecodeError::Missing { part })? {
                    $($module::Variant::$variant($module::$variant { $($field,)* }) => Self::$variant {
                        $($field: $crate::field::Field::read(
                            $field,
                            concat!(stringify!($variant), ".", stringify!($field)),
                            reader,
                        )?,)*
                    },)*
                })
            }
        }
    };
}

/// Declares the numbers of an enumeration.
macro_rules! numbers {
    ($domain:ident { $($number:tt $variant:ident,)* }) => {
        impl $crate::field::Numbered for $domain {
            fn number(self) -> u32 {
                match self {
                    $(Self::$variant => $number,)*
                }
            }

            fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl $crate::field::Field<u32> for $domain {
            fn write<'a>(&'a self, _: &mut $crate::tables::Writer<'a>) -> u32 {
                $crate::field::Numbered::number(*self)
            }

            fn read(number: u32, part: &'static str, _: &$crate::tables::Reader) -> Result<Self, $crate::DecodeError> {
                match number {
                    0 => Err($crate::DecodeError::Missing { part }),
                    _ => $crate::field::Numbered::from_number(number)
                        .ok_or($crate::DecodeError::Unknown { part, number: number.into() }),
                }
            }
        }

        impl $crate::field::Field<u32> for Option<$domain> {
            fn write<'a>(&'a self, _: &mut $crate::tables::Writer<'a>) -> u32 {
                self.map_or(0, $crate::field::Numbered::number)
            }

            fn read(
                number: u32,
                part: &'static str,
                reader: &$crate::tables::Reader,
            ) -> Result<Self, $crate::DecodeError> {
                if number == 0 { Ok(None) } else { $crate::field::Field::read(number, part, reader).map(Some) }
            }
        }
    };
}

pub(crate) use {message, numbers, required, variants};

/// An enumeration whose variants have numbers, from 1.
pub(crate) trait Numbered: Copy {
    fn number(self) -> u32;
    fn from_number(number: u32) -> Option<Self>;
}

/// Values that are their own form on the wire.
macro_rules! plain {
    ($($type:ty)*) => {
        $(
            impl Field<$type> for $type {
                fn write<'a>(&'a self, _: &mut Writer<'a>) -> $type {
                    *self
                }

                fn read(wire: $type, _: &'static str, _: &Reader) -> Result<Self, DecodeError> {
                    Ok(wire)
                }
            }
        )*
    };
}
plain!(bool u32 u64);

impl Field<u32> for Priority {
    fn write<'a>(&'a self, _: &mut Writer<'a>) -> u32 {
        self.0
    }

    fn read(wire: u32, _: &'static str, _: &Reader) -> Result<Self, DecodeError> {
        Ok(Self(wire))
    }
}

impl Field<u64> for Version {
    fn write<'a>(&'a self, _: &mut Writer<'a>) -> u64 {
        self.0
    }

    fn read(wire: u64, _: &'static str, _: &Reader) -> Result<Self, DecodeError> {
        Ok(Self(wire))
    }
}

impl Field<i64> for DurationMs {
    fn write<'a>(&'a self, _: &mut Writer<'a>) -> i64 {
        self.0
    }

    fn read(wire: i64, _: &'static str, _: &Reader) -> Result<Self, DecodeError> {
        Ok(Self(wire))
    }
}

impl Field<i64> for Timestamp {
    fn write<'a>(&'a self, writer: &mut Writer<'a>) -> i64 {
        writer.time(*self)
    }

    fn read(wire: i64, _: &'static str, reader: &Reader) -> Result<Self, DecodeError> {
        Ok(reader.time(wire))
    }
}

impl<E> Field<u64> for Id<E> {
    fn write<'a>(&'a self, _: &mut Writer<'a>) -> u64 {
        assert_ne!(self.number(), 0, "creation numbers begin with 1");
        self.number()
    }

    fn read(wire: u64, part: &'static str, _: &Reader) -> Result<Self, DecodeError> {
        if wire == 0 { Err(DecodeError::Missing { part }) } else { Ok(Self::new(wire)) }
    }
}

impl<E> Field<u64> for Option<Id<E>> {
    fn write<'a>(&'a self, writer: &mut Writer<'a>) -> u64 {
        self.as_ref().map_or(0, |id| id.write(writer))
    }

    fn read(wire: u64, _: &'static str, _: &Reader) -> Result<Self, DecodeError> {
        Ok((wire != 0).then(|| Id::new(wire)))
    }
}

impl<E> Field<Vec<u64>> for BTreeSet<Id<E>> {
    fn write<'a>(&'a self, writer: &mut Writer<'a>) -> Vec<u64> {
        self.iter().map(|id| id.write(writer)).collect()
    }

    fn read(wire: Vec<u64>, part: &'static str, reader: &Reader) -> Result<Self, DecodeError> {
        wire.into_iter().map(|id| Field::read(id, part, reader)).collect()
    }
}

impl<E> Field<u32> for Sid<E> {
    fn write<'a>(&'a self, writer: &mut Writer<'a>) -> u32 {
        writer.sid(self.bytes())
    }

    fn read(wire: u32, part: &'static str, reader: &Reader) -> Result<Self, DecodeError> {
        reader.sid(wire, part).map(Self::from_bytes)
    }
}

impl<E> Field<u32> for Option<Sid<E>> {
    fn write<'a>(&'a self, writer: &mut Writer<'a>) -> u32 {
        self.as_ref().map_or(0, |sid| sid.write(writer))
    }

    fn read(wire: u32, part: &'static str, reader: &Reader) -> Result<Self, DecodeError> {
        if wire == 0 { Ok(None) } else { Field::read(wire, part, reader).map(Some) }
    }
}

/// The seed of a Workspace, kept like a SID.
impl Field<u32> for [u8; 16] {
    fn write<'a>(&'a self, writer: &mut Writer<'a>) -> u32 {
        writer.sid(*self)
    }

    fn read(wire: u32, part: &'static str, reader: &Reader) -> Result<Self, DecodeError> {
        reader.sid(wire, part)
    }
}

impl Field<u32> for Arc<str> {
    fn write<'a>(&'a self, writer: &mut Writer<'a>) -> u32 {
        writer.text(self)
    }

    fn read(wire: u32, part: &'static str, reader: &Reader) -> Result<Self, DecodeError> {
        reader.text(wire, part)
    }
}

impl Field<u32> for Option<Arc<str>> {
    fn write<'a>(&'a self, writer: &mut Writer<'a>) -> u32 {
        self.as_ref().map_or(0, |text| text.write(writer))
    }

    fn read(wire: u32, part: &'static str, reader: &Reader) -> Result<Self, DecodeError> {
        if wire == 0 { Ok(None) } else { Field::read(wire, part, reader).map(Some) }
    }
}

impl Field<u32> for Attributes {
    fn write<'a>(&'a self, writer: &mut Writer<'a>) -> u32 {
        writer.text(self.text())
    }

    fn read(wire: u32, part: &'static str, reader: &Reader) -> Result<Self, DecodeError> {
        reader.attributes(wire, part)
    }
}

impl<Wire, D: Field<Wire>> Field<Option<Wire>> for Option<D> {
    fn write<'a>(&'a self, writer: &mut Writer<'a>) -> Option<Wire> {
        self.as_ref().map(|value| value.write(writer))
    }

    fn read(wire: Option<Wire>, part: &'static str, reader: &Reader) -> Result<Self, DecodeError> {
        wire.map(|wire| Field::read(wire, part, reader)).transpose()
    }
}

impl<Wire, D: Field<Wire>> Field<Wire> for Box<D> {
    fn write<'a>(&'a self, writer: &mut Writer<'a>) -> Wire {
        (**self).write(writer)
    }

    fn read(wire: Wire, part: &'static str, reader: &Reader) -> Result<Self, DecodeError> {
        Field::read(wire, part, reader).map(Box::new)
    }
}

impl<Wire, D: Field<Wire>> Field<Vec<Wire>> for Vec<D> {
    fn write<'a>(&'a self, writer: &mut Writer<'a>) -> Vec<Wire> {
        self.iter().map(|value| value.write(writer)).collect()
    }

    fn read(wire: Vec<Wire>, part: &'static str, reader: &Reader) -> Result<Self, DecodeError> {
        wire.into_iter().map(|wire| Field::read(wire, part, reader)).collect()
    }
}
