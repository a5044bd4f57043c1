//! What a closure says about its state.

/// What becomes of a state whose closure has run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// It goes on, in the batch that the call returns, which is for the next stage. To drop that batch is
    /// [`Fault::NoStage`](crate::Fault::NoStage).
    Next,
    /// It waits at its point until something wakes it.
    Wait,
    /// It waits at its point and stays active: its closure runs again in the next turn.
    ///
    /// For a state that has more to do and that nothing else would wake: it has used up its share of the turn, or what it
    /// needs is [`Busy`](crate::Busy) at the moment. The driver does not sleep while there is such a state, so one that
    /// waits for something waits by [`Step::Wait`].
    ///
    /// ```
    /// # use batchloop_core::*;
    /// struct Copy { bytes_left: usize }
    ///
    /// /// At most 4 KiB of each copy in a turn, so that a long one does not hold up the others.
    /// fn entry(cx: &mut Turn<'_, Copy>) {
    ///     let new = cx.arrivals();
    ///     cx.stage(point!("copy"), new).advance(|copy, _| {
    ///         copy.bytes_left -= copy.bytes_left.min(4096);
    ///         match copy.bytes_left {
    ///             0 => Step::Release,
    ///             _ => Step::Again,
    ///         }
    ///     });
    /// }
    /// # let machine: Machine<Copy> = Machine::heap(Capacity::slots(4));
    /// # machine.allocate(Copy { bytes_left: 10_000 }).unwrap();
    /// # let mut driver = machine.driver().unwrap();
    /// # assert_eq!(driver.turn(entry), Ok(Progress::More));
    /// # assert_eq!(driver.turn(entry), Ok(Progress::More));
    /// # assert_eq!(driver.turn(entry), Ok(Progress::Quiet));
    /// # assert_eq!(machine.live(), 0);
    /// ```
    Again,
    /// It ends: it is dropped, and its slot is free.
    Release,
}
