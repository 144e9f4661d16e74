//! The statements that begin and end transactions and savepoints, prepared once.

use rusqlite::Connection;

use super::guard::PREFIX;

/// A savepoint of the writer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Savepoint {
    /// Encloses one job.
    Job,
    /// Encloses the handler of a job.
    Handler,
}

/// SQL with a random comment at the end. Handlers share the cache of prepared statements, so without the comment a
/// handler could find a cached statement that the guard has allowed for the writer.
#[derive(Debug)]
pub(super) struct Sql {
    begin: String,
    commit: String,
    job: Texts,
    handler: Texts,
}

#[derive(Debug)]
struct Texts {
    savepoint: String,
    release: String,
    roll_back: String,
}

impl Sql {
    /// # Errors
    /// If the system provides no random numbers.
    pub(super) fn new() -> std::io::Result<Self> {
        let remark = getrandom::u64().map_err(|error| std::io::Error::other(error.to_string()))?;
        let texts = |name: &str| Texts {
            savepoint: format!("SAVEPOINT {PREFIX}{name} -- {remark}"),
            release: format!("RELEASE {PREFIX}{name} -- {remark}"),
            roll_back: format!("ROLLBACK TO {PREFIX}{name} -- {remark}"),
        };
        Ok(Self {
            begin: format!("BEGIN IMMEDIATE -- {remark}"),
            commit: format!("COMMIT -- {remark}"),
            job: texts("job"),
            handler: texts("handler"),
        })
    }

    pub(super) fn begin(&self, connection: &Connection) -> rusqlite::Result<()> {
        run(connection, &self.begin)
    }

    pub(super) fn commit(&self, connection: &Connection) -> rusqlite::Result<()> {
        run(connection, &self.commit)
    }

    pub(super) fn savepoint(&self, connection: &Connection, savepoint: Savepoint) -> rusqlite::Result<()> {
        run(connection, &self.texts(savepoint).savepoint)
    }

    pub(super) fn release(&self, connection: &Connection, savepoint: Savepoint) -> rusqlite::Result<()> {
        run(connection, &self.texts(savepoint).release)
    }

    /// Undoes the changes since the savepoint, and ends the savepoint.
    pub(super) fn roll_back(&self, connection: &Connection, savepoint: Savepoint) -> rusqlite::Result<()> {
        run(connection, &self.texts(savepoint).roll_back)?;
        self.release(connection, savepoint)
    }

    fn texts(&self, savepoint: Savepoint) -> &Texts {
        match savepoint {
            Savepoint::Job => &self.job,
            Savepoint::Handler => &self.handler,
        }
    }
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(()).map(drop)
}
