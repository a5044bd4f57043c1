//! What a tool reads of a dump.

use batchloop_core::inspect::Status;
use serde::{Serialize, Serializer};

use super::{MachineDump, StateDump, SystemDump};

#[derive(Serialize)]
struct System<'a> {
    machines: &'a [MachineDump],
    states: &'a [StateDump],
}

#[derive(Serialize)]
struct State<'a> {
    depth: usize,
    machine: &'a str,
    slot: usize,
    version: String,
    /// `waiting`, `active` or `in a batch`.
    standing: &'static str,
    /// From the inside out; empty at the entrance.
    path: Vec<Site>,
    /// As in `readable+closed`.
    events: Option<String>,
    parent: Option<Parent<'a>>,
    state: Option<&'a str>,
}

#[derive(Serialize)]
struct Site {
    name: Option<&'static str>,
    file: &'static str,
    line: u32,
    column: u32,
    iteration: u32,
}

#[derive(Serialize)]
struct Parent<'a> {
    machine: &'a str,
    slot: usize,
    version: String,
    is_live: bool,
}

impl Serialize for SystemDump {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let system = System {
            machines: &self.machines,
            states: &self.states,
        };
        system.serialize(serializer)
    }
}

impl Serialize for StateDump {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let info = &self.info;
        let events = info.events();
        let parent = self.parent_machine.as_deref().zip(info.parent());
        let state = State {
            depth: self.depth,
            machine: &self.machine,
            slot: info.slot(),
            version: info.version().to_string(),
            standing: match info.status() {
                Status::Waiting => "waiting",
                Status::Active => "active",
                Status::InBatch => "in a batch",
            },
            path: info.path().map(Site::of).collect(),
            events: (!events.is_empty()).then(|| format!("{events:?}")),
            parent: parent.map(|(machine, parent)| Parent {
                machine,
                slot: parent.slot(),
                version: parent.version().to_string(),
                is_live: !info.is_orphan(),
            }),
            state: self.state.as_deref(),
        };
        state.serialize(serializer)
    }
}

impl Site {
    fn of(site: batchloop_core::program::Site) -> Self {
        Site {
            name: site.point.name(),
            file: site.point.file(),
            line: site.point.line(),
            column: site.point.column(),
            iteration: site.iteration,
        }
    }
}
