//! What a program does before it serves: makes values for its endpoints, such as a pool of connections, and runs its own
//! tasks, such as migrations. Commands that do not serve skip this.

use std::any::{Any, TypeId};
use std::sync::{Arc, Mutex, PoisonError};

use axum::BoxError;

use super::{SettingName, StartProblem};
use crate::endpoint::state::AppState;
use crate::endpoint::states::States;
use crate::store::BoxFuture;

type Value = (TypeId, Arc<dyn Any + Send + Sync>);
type Run = Box<dyn FnOnce() -> BoxFuture<'static, Result<Option<Value>, BoxError>> + Send>;

/// One thing to do before serving. All clones of an app share it, and it runs for one of them only.
#[derive(Clone)]
pub(super) struct Step {
    setting: SettingName,
    /// The type of the value that this step makes, if it makes one.
    type_name: Option<&'static str>,
    run: Arc<Mutex<Option<Run>>>,
}

impl Step {
    pub(super) fn state<T: AppState, E: Into<BoxError>, F>(make: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let made = || async { make().await.map(|value| Some(value.shared())).map_err(Into::into) };
        Self::new("App::state_with", Some(std::any::type_name::<T>()), made)
    }

    pub(super) fn task<E: Into<BoxError>, F>(task: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let done = || async { task().await.map(|()| None).map_err(Into::into) };
        Self::new("App::before_serving", None, done)
    }

    fn new<F>(method: &'static str, type_name: Option<&'static str>, run: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Option<Value>, BoxError>> + Send + 'static,
    {
        let run: Run = Box::new(|| Box::pin(run()));
        Self {
            setting: SettingName::Method(method),
            type_name,
            run: Arc::new(Mutex::new(Some(run))),
        }
    }

    async fn run(&self, states: &mut States) -> Result<(), StartProblem> {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(run) = run else {
            let sentence = format!(
                "{} has already run for a clone of this app: make a new app instead of cloning one.",
                self.setting
            );
            return Err(StartProblem::of(self.setting, sentence));
        };
        match run().await {
            Ok(made) => {
                if let Some((id, value)) = made {
                    states.insert(id, value);
                }
                Ok(())
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, error: BoxError) -> StartProblem {
        let setting = self.setting;
        let sentence = match self.type_name {
            Some(type_name) => format!("{setting} could not make the `{type_name}`: {error}."),
            None => format!("A task of {setting} failed: {error}."),
        };
        StartProblem::of(setting, sentence).caused_by(error)
    }
}

/// Runs the steps in the order in which the app was given them. A step that fails ends the start.
pub(super) async fn run(steps: &[Step], states: &mut States) -> Result<(), StartProblem> {
    for step in steps {
        step.run(states).await?;
    }
    Ok(())
}
