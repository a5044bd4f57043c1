//! What clients ask about the server itself.

use std::process;

use crate::{
    commands::{COMMANDS, Call, Database, Done, Refusal},
    glob::Pattern,
};

/// How many patterns `CONFIG GET` takes.
const PATTERNS: usize = 64;

/// What there is to ask for, beside the limit of memory.
const SETTINGS: [(&str, &str); 4] = [
    ("save", ""),
    ("appendonly", "no"),
    ("databases", "1"),
    ("maxmemory-policy", "noeviction"),
];

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
             # Memory\r\nused_memory:{}\r\nused_memory_dataset:{}\r\nmem_clients_normal:{}\r\n\
             maxmemory:{}\r\nmaxmemory_policy:noeviction\r\n\r\n\
             # Stats\r\ntotal_commands_processed:{commands}\r\n\r\n\
             # Replication\r\nrole:master\r\n\r\n\
             # Keyspace\r\n{keys}",
            process::id(),
            started.elapsed().as_secs(),
            store.memory.used(),
            store.memory.data,
            store.memory.buffers,
            store.memory.limit,
        );
        Ok(self.replies.bulk(text.as_bytes())?)
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
            let name = self.words.get(1);
            return Err(Refusal::named(
                "ERR unknown subcommand '{}'. Try CONFIG HELP.",
                name,
            ));
        }
        if self.words.len() > 2 + PATTERNS {
            return Err(Refusal::Other("ERR too many patterns"));
        }
        let max_memory = self.database.store.memory.limit.to_string();
        let settings = SETTINGS.into_iter().chain([("maxmemory", &*max_memory)]);
        let mut asked: Vec<_> = settings.map(|(name, value)| (name, value, false)).collect();
        for pattern in self.words.from(2) {
            let pattern = Pattern::new(&pattern.to_ascii_lowercase());
            let pattern = pattern.ok_or(Refusal::LongPattern)?;
            for (name, _, is_asked) in &mut asked {
                *is_asked = *is_asked || pattern.matches(name.as_bytes());
            }
        }
        asked.retain(|(_, _, is_asked)| *is_asked);
        self.replies.array(2 * asked.len());
        for (name, value, _) in asked {
            self.replies.bulk(name.as_bytes())?;
            self.replies.bulk(value.as_bytes())?;
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
                let name = self.words.get(1);
                let text = "ERR unknown subcommand '{}'. Try CLIENT HELP.";
                Err(Refusal::named(text, name))
            }
        }
    }
}
