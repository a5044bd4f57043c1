//! Every live state of every machine, as data.

use std::{collections::HashMap, fmt};

use batchloop_core::{
    inspect::{LiveStates, StateInfo, TypeName},
    slab::Lineage,
};

/// The live states of several machines, as a tree by parent; made by [`dump_all`](crate::dump_all).
///
/// With feature `serde` it is serialised as numbers, texts and lists, for any tool.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SystemDump {
    /// The machines, in the order in which they were registered.
    pub machines: Vec<MachineDump>,
    /// The states. Each is followed by its children, one deeper; those whose parent is not listed are at depth 0.
    pub states: Vec<StateDump>,
}

/// A machine of a [`SystemDump`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct MachineDump {
    /// The name that it was registered under.
    pub name: String,
    /// The type of its states, without the path.
    pub state: &'static str,
    /// How many slots have a state or are reserved for one.
    pub live: usize,
    /// How many slots there are.
    pub slots: usize,
}

/// A state of a [`SystemDump`]: its place in the tree, and what is known of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StateDump {
    /// How many of its ancestors are above it in the dump.
    pub depth: usize,
    /// The name of its machine.
    pub machine: String,
    /// The state, as it was when the dump came to it.
    pub info: StateInfo,
    /// The name of its parent's machine, or if that is not registered, the type of its states.
    pub parent_machine: Option<String>,
    /// What it printed as then, where that was asked for; `busy` if it was locked.
    pub state: Option<String>,
}

type Machines = [(String, LiveStates)];

impl SystemDump {
    pub(super) fn of(machines: &Machines) -> Self {
        let infos: Vec<(&str, StateInfo)> = machines
            .iter()
            .flat_map(|(name, live)| live.iter().map(|info| (name.as_str(), info)))
            .collect();
        let states = by_parent(&infos).into_iter().map(|(depth, index)| {
            let (machine, info) = infos[index];
            StateDump {
                depth,
                machine: machine.to_string(),
                info,
                parent_machine: info.parent().map(|parent| machine_of(parent, machines)),
                state: info.state().map(|state| state.to_string()),
            }
        });
        let states = states.collect();
        let machines = machines.iter().map(|(name, live)| MachineDump {
            name: name.clone(),
            state: live.state_name(),
            live: live.live(),
            slots: live.slots(),
        });
        SystemDump {
            machines: machines.collect(),
            states,
        }
    }
}

/// The name of a state's machine, or if that is not registered, the type of its states.
fn machine_of(state: Lineage, machines: &Machines) -> String {
    let machine = machines.iter().find(|(_, live)| live.is_of(state));
    match machine {
        Some((name, _)) => name.clone(),
        None => state.state_type().to_string(),
    }
}

/// The states as a tree from the top: depths and indices. Each comes once, even if parents go round in a circle.
#[allow(
    clippy::mutable_key_type,
    reason = "what is hashed of a lineage is an address and two numbers, which do not change"
)]
fn by_parent(states: &[(&str, StateInfo)]) -> Vec<(usize, usize)> {
    let known: HashMap<Lineage, usize> = states
        .iter()
        .enumerate()
        .map(|(index, (_, info))| (info.lineage(), index))
        .collect();
    let parents: Vec<Option<usize>> = states
        .iter()
        .map(|(_, info)| known.get(&info.parent()?).copied())
        .collect();
    tree(&parents)
}

/// Depths and numbers of what has these parents, in the order of the numbers: first what has none, with all below it, then
/// each circle from its lowest number.
fn tree(parents: &[Option<usize>]) -> Vec<(usize, usize)> {
    let mut children = vec![Vec::new(); parents.len()];
    for (child, parent) in parents.iter().enumerate().rev() {
        if let Some(parent) = *parent {
            children[parent].push(child);
        }
    }
    let tops = (0..parents.len()).filter(|&index| parents[index].is_none());
    let mut tree = Vec::with_capacity(parents.len());
    let mut is_listed = vec![false; parents.len()];
    // In a circle, or below one, is what no top leads to.
    for top in tops.chain(lowest_of_circles(parents)) {
        let mut pending = vec![(0, top)];
        while let Some((depth, index)) = pending.pop() {
            if !std::mem::replace(&mut is_listed[index], true) {
                tree.push((depth, index));
                // The last comes out first, and they lie in reverse.
                pending.extend(children[index].iter().map(|&child| (depth + 1, child)));
            }
        }
    }
    tree
}

/// The lowest number of each circle of parents.
fn lowest_of_circles(parents: &[Option<usize>]) -> Vec<usize> {
    // From where each was come to first; a way up that ends at one of its own has been round.
    let mut seen_from = vec![None; parents.len()];
    let mut lowest = Vec::new();
    for start in 0..parents.len() {
        let mut next = Some(start);
        while let Some(index) = next.filter(|&index| seen_from[index].is_none()) {
            seen_from[index] = Some(start);
            next = parents[index];
        }
        if let Some(first) = next.filter(|&index| seen_from[index] == Some(start)) {
            let mut low = first;
            let mut at = parents[first];
            while let Some(index) = at.filter(|&index| index != first) {
                low = low.min(index);
                at = parents[index];
            }
            lowest.push(low);
        }
    }
    lowest.sort_unstable();
    lowest
}

impl fmt::Display for SystemDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for machine in &self.machines {
            let MachineDump {
                name,
                state,
                live,
                slots,
            } = machine;
            let state = TypeName::new(state);
            writeln!(f, "{name}: {state}, {live} of {slots} slots")?;
        }
        self.states
            .iter()
            .try_for_each(|state| writeln!(f, "{state}"))
    }
}

/// A line of the core's, in a tree.
impl fmt::Display for StateDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Where the parent is in the dump, it is the line above that is indented less.
        let parent = self.parent().filter(|_| self.depth == 0);
        let line = self.info.line(parent, self.state.as_ref());
        let indent = 2 * self.depth;
        write!(f, "{:indent$}{}{line}", "", self.machine)
    }
}

impl StateDump {
    /// Returns its parent as dumps call it: the machine, the slot and the version.
    pub fn parent(&self) -> Option<String> {
        let (machine, parent) = (self.parent_machine.as_ref()?, self.info.parent()?);
        Some(format!("{machine}#{}{}", parent.slot(), parent.version()))
    }
}

#[cfg(feature = "serde")]
mod serialised;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Whatever the parents of five states are: each is listed once, below its parent, and at the top only if it has none or
    /// is the lowest in a circle.
    #[test]
    fn each_number_is_listed_once_below_its_parent() {
        const N: usize = 5;
        for mut code in 0..(N + 1).pow(N as u32) {
            let parents: [Option<usize>; N] = std::array::from_fn(|_| {
                let digit = code % (N + 1);
                code /= N + 1;
                digit.checked_sub(1)
            });
            let tree = tree(&parents);
            let mut listed: Vec<usize> = tree.iter().map(|&(_, index)| index).collect();
            listed.sort_unstable();
            assert!(listed.into_iter().eq(0..N), "{parents:?}: {tree:?}");
            let mut above: Vec<usize> = Vec::new();
            for &(depth, index) in &tree {
                above.truncate(depth);
                match above.last() {
                    Some(&parent) => assert_eq!(parents[index], Some(parent), "{parents:?}"),
                    None => assert!(is_top(&parents, index), "{parents:?}: {tree:?}"),
                }
                above.push(index);
            }
        }
    }

    fn is_top(parents: &[Option<usize>], index: usize) -> bool {
        let mut at = parents[index];
        for _ in 0..parents.len() {
            match at {
                // A lower one of the same circle would be the top.
                Some(above) if above == index => return true,
                Some(above) if above < index => return false,
                Some(above) => at = parents[above],
                None => return parents[index].is_none(),
            }
        }
        false
    }
}
