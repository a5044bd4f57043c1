//! What clients ask about the server itself.

use std::process;

use crate::{
    commands::{COMMANDS, Call, Database, Done, Refusal},
    glob,
};

impl Call<'_> {
    pub(crate) fn info(&mut self) -> Done {
        let Database {
            store,
            clients,
            port,
            started,
            commands,
            run_id,
        } = &*self.database;
        let keys = match store.len() {
            0 => String::new(),
            keys => format!("db0:keys={keys},expires={},avg_ttl=0\r\n", store.expiring()),
        };
        let text = format!(
            "# Server\r\nredis_version:7.0.0\r\nserver_name:batchloop-kv\r\nredis_mode:standalone\r\n\
             process_id:{}\r\nrun_id:{run_id:040x}\r\ntcp_port:{port}\r\nuptime_in_seconds:{}\r\n\r\n\
             # Clients\r\nconnected_clients:{clients}\r\n\r\n\
             # Memory\r\nused_memory:{}\r\n\r\n\
             # Stats\r\ntotal_commands_processed:{commands}\r\n\r\n\
             # Replication\r\nrole:master\r\n\r\n\
             # Keyspace\r\n{keys}",
            process::id(),
            started.elapsed().as_secs(),
            store.used(),
        );
        self.replies.bulk(text.as_bytes());
        Ok(())
    }

    /// Clients ask for it to help a person; they do without.
    pub(crate) fn command(&mut self) -> Done {
        let is = |name: &str| self.words.get(1).eq_ignore_ascii_case(name.as_bytes());
        match self.words.len() {
            2 if is("count") => self.replies.integer(COMMANDS.len() as i64),
            _ => self.replies.array(0),
        }
        Ok(())
    }

    pub(crate) fn config(&mut self) -> Done {
        let is = |name: &str| self.words.get(1).eq_ignore_ascii_case(name.as_bytes());
        if is("resetstat") && self.words.len() == 2 {
            self.database.commands = 0;
            return self.ok();
        }
        if !is("get") || self.words.len() < 3 {
            let name = self.words.get(1).to_vec();
            return Err(Refusal::Named("ERR unknown subcommand '{}'.", name));
        }
        let settings = [
            ("save", ""),
            ("appendonly", "no"),
            ("databases", "1"),
            ("maxmemory-policy", "noeviction"),
        ];
        let asked = |name: &str| {
            let mut patterns = self.words.from(2);
            patterns.any(|pattern| glob::matches(&pattern.to_ascii_lowercase(), name.as_bytes()))
        };
        let answers: Vec<_> = settings.iter().filter(|(name, _)| asked(name)).collect();
        self.replies.array(2 * answers.len());
        for (name, value) in answers {
            self.replies.bulk(name.as_bytes());
            self.replies.bulk(value.as_bytes());
        }
        Ok(())
    }

    pub(crate) fn select(&mut self) -> Done {
        match self.number(1) {
            Ok(0) => self.ok(),
            Ok(_) => Err(Refusal::Other("ERR DB index is out of range")),
            Err(_) => Err(Refusal::NotInteger),
        }
    }

    /// Clients introduce themselves, and expect no more than thanks.
    pub(crate) fn client(&mut self) -> Done {
        let is = |name: &str| self.words.get(1).eq_ignore_ascii_case(name.as_bytes());
        match self.words.len() {
            4 if is("setinfo") => self.ok(),
            3 if is("setname") => self.ok(),
            2 if is("getname") => {
                self.replies.null();
                Ok(())
            }
            _ => {
                let name = self.words.get(1).to_vec();
                Err(Refusal::Named("ERR unknown subcommand '{}'.", name))
            }
        }
    }
}
