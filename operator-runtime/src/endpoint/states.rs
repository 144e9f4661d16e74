//! The values given to `App::state`, by type.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

/// The registered values. A value that is made only before serving is `None` until then.
#[derive(Clone, Default)]
pub(crate) struct States(HashMap<TypeId, Option<Arc<dyn Any + Send + Sync>>>);

impl States {
    /// Registers a value. Returns `false` if a value of the same type was registered before.
    pub(crate) fn insert(&mut self, id: TypeId, value: Arc<dyn Any + Send + Sync>) -> bool {
        self.0.insert(id, Some(value)).is_none()
    }

    /// Registers a value that is made later. Returns `false` if a value of the same type was registered before.
    pub(crate) fn promise(&mut self, id: TypeId) -> bool {
        self.0.insert(id, None).is_none()
    }

    pub(crate) fn contains(&self, id: TypeId) -> bool {
        self.0.contains_key(&id)
    }

    pub(crate) fn get<T: 'static>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>())?.as_ref()?.downcast_ref()
    }
}
