//! Random programs for `batches.rs`.

use proptest::prelude::*;

use super::world::POINTS;

/// What somebody does to the machine, between two turns or in the middle of a closure.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    Allocate,
    Wake(usize),
    Post(usize, u8),
    Remote(usize),
    Signal(usize, bool),
    Release(usize),
    Reserve,
    Dump(bool),
}

/// What a program does with the batch of one point.
#[derive(Clone, Debug)]
pub(crate) enum Flow {
    Pass,
    Advance,
    ForEach,
    Project,
    /// Splits, and then puts the parts together again, the other way round if so asked.
    SplitAndMerge(bool),
    /// Splits, and drops one part.
    SplitAndDrop(bool),
    /// Splits, and keeps one part beside the later batches.
    SplitAndHold(bool),
    Drop,
    PutBack,
    Release,
    /// Keeps the batch beside the later ones.
    Hold,
    /// Adds what is held.
    Join,
    /// The closure panics at this state.
    Panic(usize),
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) before: Vec<Effect>,
    pub(crate) within: Vec<Effect>,
    pub(crate) arrivals: Flow,
    pub(crate) flows: [Flow; POINTS],
    pub(crate) steps: u32,
}

fn effect() -> impl Strategy<Value = Effect> {
    let index = 0..64_usize;
    prop_oneof![
        3 => Just(Effect::Allocate),
        3 => index.clone().prop_map(Effect::Wake),
        1 => (index.clone(), 1..16_u8).prop_map(|(index, bits)| Effect::Post(index, bits)),
        1 => index.clone().prop_map(Effect::Remote),
        1 => (index.clone(), any::<bool>()).prop_map(|(index, wake)| Effect::Signal(index, wake)),
        1 => index.prop_map(Effect::Release),
        1 => Just(Effect::Reserve),
        1 => any::<bool>().prop_map(Effect::Dump),
    ]
}

fn flow() -> impl Strategy<Value = Flow> {
    prop_oneof![
        2 => Just(Flow::Pass),
        4 => Just(Flow::Advance),
        1 => Just(Flow::ForEach),
        1 => Just(Flow::Project),
        1 => any::<bool>().prop_map(Flow::SplitAndMerge),
        1 => any::<bool>().prop_map(Flow::SplitAndDrop),
        2 => any::<bool>().prop_map(Flow::SplitAndHold),
        1 => Just(Flow::Drop),
        1 => Just(Flow::PutBack),
        1 => Just(Flow::Release),
        2 => Just(Flow::Hold),
        1 => Just(Flow::Join),
        1 => (0..4_usize).prop_map(Flow::Panic),
    ]
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    (
        prop::collection::vec(effect(), 0..10),
        prop::collection::vec(effect(), 0..6),
        flow(),
        [flow(), flow(), flow(), flow()],
        any::<u32>(),
    )
        .prop_map(|(before, within, arrivals, flows, steps)| Plan {
            before,
            within,
            arrivals,
            flows,
            steps,
        })
}
