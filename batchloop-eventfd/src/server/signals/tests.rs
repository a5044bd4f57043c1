use signal_hook::{
    consts::{SIGKILL, SIGSTOP, SIGUSR1, SIGUSR2, SIGWINCH},
    low_level::raise,
};

use super::*;
use crate::Polled;

/// Waits for what there is; with nothing, for some time that no test takes.
fn poll(multiplexer: &mut Multiplexer) -> Polled {
    let deadline = Instant::now() + Duration::from_secs(10);
    multiplexer.poll(&[], Some(deadline)).unwrap()
}

#[test]
fn signals_end_the_sleep_and_are_told_once() {
    let mut multiplexer = Multiplexer::new().unwrap();
    let mut signals = Signals::new(&mut multiplexer, &[SIGUSR1, SIGUSR2]).unwrap();
    assert_eq!(signals.pending().count(), 0);
    assert_eq!(format!("{signals:?}"), "Signals");
    for expected in [vec![SIGUSR1], vec![SIGUSR2], vec![SIGUSR1, SIGUSR2]] {
        for signal in &expected {
            // Several of a kind are one.
            raise(*signal).unwrap();
            raise(*signal).unwrap();
        }
        assert_eq!(poll(&mut multiplexer).producers, 1);
        assert_eq!(signals.pending().collect::<Vec<_>>(), expected);
        assert_eq!(signals.pending().count(), 0);
    }
}

#[test]
fn signals_that_cannot_be_handled_are_refused() {
    let mut multiplexer = Multiplexer::new().unwrap();
    for signal in [SIGKILL, SIGSTOP, 0, -1, 65] {
        let refused = Signals::new(&mut multiplexer, &[SIGWINCH, signal]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(refused.to_string(), "one of the signals cannot be handled");
    }
    // The highest there is.
    assert!(Signals::new(&mut multiplexer, &[SIGWINCH, 64]).is_ok());
}

/// In one test, for signals are the whole process's.
#[test]
fn a_shutdown_begins_once_and_ends_with_the_grace_or_a_second_signal() {
    const GRACE: Duration = Duration::from_secs(1000);
    let mut multiplexer = Multiplexer::new().unwrap();
    let mut shutdown = Shutdown::new(&mut multiplexer, GRACE).unwrap();
    assert!(!shutdown.begins() && !shutdown.has_begun());
    assert!(!shutdown.is_over(0) && !shutdown.is_over(1));
    assert_eq!(shutdown.deadline(), None);
    let before = Instant::now();
    raise(SIGTERM).unwrap();
    assert_eq!(poll(&mut multiplexer).producers, 1);
    assert!(shutdown.begins());
    assert!(!shutdown.begins() && shutdown.has_begun());
    let deadline = shutdown.deadline().unwrap();
    assert!((before + GRACE..=Instant::now() + GRACE).contains(&deadline));
    assert!(shutdown.is_over(0) && !shutdown.is_over(1));
    raise(SIGINT).unwrap();
    assert_eq!(poll(&mut multiplexer).producers, 1);
    assert!(!shutdown.begins(), "it had begun");
    assert!(shutdown.deadline().unwrap() <= Instant::now());
    assert!(shutdown.is_over(1));
    drop(shutdown);
    // Two at once are a second one.
    let mut shutdown = Shutdown::new(&mut multiplexer, GRACE).unwrap();
    raise(SIGINT).unwrap();
    raise(SIGTERM).unwrap();
    assert_eq!(poll(&mut multiplexer).producers, 1);
    assert!(shutdown.begins() && shutdown.is_over(1));
    drop(shutdown);
    // The grace may be over before anybody looks.
    let mut shutdown = Shutdown::new(&mut multiplexer, Duration::ZERO).unwrap();
    raise(SIGINT).unwrap();
    assert_eq!(poll(&mut multiplexer).producers, 1);
    assert!(shutdown.begins() && shutdown.is_over(1));
    drop(shutdown);
    // A grace without an end leaves the end to the last state, and to a second signal.
    let mut shutdown = Shutdown::new(&mut multiplexer, Duration::MAX).unwrap();
    raise(SIGTERM).unwrap();
    assert_eq!(poll(&mut multiplexer).producers, 1);
    assert!(shutdown.begins() && !shutdown.begins() && shutdown.has_begun());
    assert_eq!(shutdown.deadline(), None);
    assert!(shutdown.is_over(0) && !shutdown.is_over(1));
    raise(SIGTERM).unwrap();
    assert_eq!(poll(&mut multiplexer).producers, 1);
    assert!(!shutdown.begins() && shutdown.is_over(1));
}
