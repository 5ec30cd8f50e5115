//! The store of a running server, which may have to be opened again.

use std::fmt;
use std::sync::{PoisonError, RwLock};

use pointsman_store::{OpenError, Store};

/// Opens the store.
pub type Opener = Box<dyn Fn() -> Result<Box<dyn Store>, OpenError> + Send + Sync>;

/// Gives access to the store, and replaces it after a failure.
pub struct Storage {
    store: RwLock<Option<Box<dyn Store>>>,
    open: Opener,
}

/// The store is closed: opening it again has failed so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the store is closed after a failure")]
pub struct Closed;

impl Storage {
    pub fn open(open: Opener) -> Result<Storage, OpenError> {
        let store = open()?;
        Ok(Storage { store: RwLock::new(Some(store)), open })
    }

    /// Uses the store; several threads may at the same time.
    pub fn with<T>(&self, use_it: impl FnOnce(&(dyn Store + 'static)) -> T) -> Result<T, Closed> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        store.as_deref().map(use_it).ok_or(Closed)
    }

    /// Closes the store once nobody uses it, and opens it again.
    pub fn reopen(&self) -> Result<(), OpenError> {
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        *store = None;
        *store = Some((self.open)()?);
        Ok(())
    }

    /// Closes the store for good.
    pub fn close(&self) {
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Storage")
    }
}
