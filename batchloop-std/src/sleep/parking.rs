//! What a driver of a thread does between two turns.

use batchloop_core::{Access, Idle, Machine, Progress, Watch, sleep::BellTaken};

use super::{bell::BlockingBell, patience::Patience};

/// An [`Idle`] that spins, then yields, then sleeps on a futex until the change counter moves. There is no time-out.
#[derive(Debug)]
pub struct Parking {
    bell: &'static BlockingBell,
    patience: Patience,
}

impl Parking {
    /// Gives the machine a bell, and sleeps on that. The bell lives as long as the program, as machines do.
    ///
    /// # Errors
    ///
    /// [`BellTaken`] if the machine has a bell already; use [`with_bell`](Self::with_bell) to share one.
    pub fn new<T, A: Access>(machine: &Machine<T, A>) -> Result<Self, BellTaken> {
        let bell: &'static BlockingBell = Box::leak(Box::default());
        machine.set_bell(bell)?;
        Ok(Self::with_bell(bell))
    }

    /// Sleeps on a bell that the driver's workloads already have: for the second and further drivers of a machine, and for a
    /// driver of workloads that have a bell of their own; see
    /// [`Machine::set_bell_for`](crate::Machine::set_bell_for).
    ///
    /// Its [`idle`](Idle::idle) panics where one of the driver's workloads has another bell, or none.
    pub fn with_bell(bell: &'static BlockingBell) -> Self {
        Parking {
            bell,
            patience: Patience::new(),
        }
    }

    /// Returns the bell, for further drivers of the same machine.
    pub fn bell(&self) -> &'static BlockingBell {
        self.bell
    }
}

impl Idle for Parking {
    fn idle(&mut self, watch: &Watch, progress: Progress) {
        if self.patience.wait(watch, progress) {
            self.bell.sleep(watch);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::{thread, time::Duration};

    use batchloop_core::{Capacity, Machine, Shared, Step, Turn, point};

    use super::*;

    /// Counts its wakes down and ends.
    struct Waits(u32);

    fn entry(cx: &mut Turn<'_, Waits>) {
        let new = cx.arrivals();
        cx.stage(point!("count"), new)
            .advance(|state, _| match state.0 {
                0 => Step::Release,
                _ => {
                    state.0 -= 1;
                    Step::Wait
                }
            });
        if cx.machine().live() == 0 {
            cx.stop();
        }
    }

    #[test]
    fn wakes_from_another_thread_are_never_lost() {
        const WAKES: u32 = 20_000;
        let machine: Machine<Waits> = Machine::heap(Capacity::slots(1));
        let handle = machine.allocate(Waits(WAKES)).unwrap();
        let waker = machine.waker(handle);
        let parking = Parking::new(&machine).unwrap();
        let other = thread::spawn(move || while waker.wake().is_ok() {});
        machine.driver().unwrap().run(parking, entry).unwrap();
        other.join().unwrap();
    }

    #[test]
    fn two_machines_play_ping_pong_across_threads() {
        const ROUNDS: u32 = 5_000;
        struct Player {
            rounds: u32,
            other: Option<batchloop_core::Waker<Shared>>,
        }
        fn play(cx: &mut Turn<'_, Player, Shared>) {
            let new = cx.arrivals();
            cx.stage(point!("ball"), new).advance(|player, _| {
                player.rounds = player.rounds.saturating_sub(1);
                if let Some(other) = player.other {
                    // The other has ended when it has had all its rounds.
                    let _ = other.wake();
                }
                match player.rounds {
                    0 => Step::Release,
                    _ => Step::Wait,
                }
            });
            if cx.machine().live() == 0 {
                cx.stop();
            }
        }
        let machines: [Machine<Player, Shared>; 2] =
            std::array::from_fn(|_| Machine::heap(Capacity::slots(1)));
        let players = machines.map(|machine| {
            let player = Player {
                rounds: ROUNDS,
                other: None,
            };
            (machine, machine.allocate(player).unwrap())
        });
        for (index, (machine, player)) in players.into_iter().enumerate() {
            let (other, opponent) = players[1 - index];
            let connected = machine.signal(player, |player| {
                player.other = Some(other.waker(opponent));
                batchloop_core::Reaction::Wake
            });
            assert!(connected.is_ok());
        }
        let threads = machines.map(|machine| {
            thread::spawn(move || {
                let parking = Parking::new(&machine).unwrap();
                machine.driver().unwrap().run(parking, play).unwrap();
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
    }

    #[test]
    fn a_driver_with_nothing_to_do_sleeps_until_its_bell_rings() {
        let machine: Machine<u8, Shared> = Machine::heap(Capacity::slots(1));
        let parking = Parking::new(&machine).unwrap();
        assert!(machine.counter().is_rung_by(parking.bell()));
        let turns = thread::spawn(move || {
            let mut turns = 0_u32;
            let run = machine.driver().unwrap().run(parking, |cx| {
                turns += 1;
                cx.arrivals().release();
                if cx.machine().live() == 1 {
                    cx.stop();
                }
            });
            run.unwrap();
            turns
        });
        thread::sleep(Duration::from_millis(100));
        let end = machine.reserve().unwrap();
        machine.counter().ring();
        // It has spun and yielded in a few of them, and in no more.
        assert!(turns.join().unwrap() < 1000);
        drop(end);
    }
}
