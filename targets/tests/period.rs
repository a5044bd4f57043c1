//! The boards' periods, on the host: arithmetic alone.

#[path = "../boards/firmware/src/period.rs"]
pub mod period;

use period::{come, next};

#[test]
fn each_time_is_counted_from_the_one_before_and_not_from_when_it_was_seen() {
    // A handler that is up to three ticks late, each time.
    let (mut due, mut counted) = (100, 0);
    for round in 0..1000 {
        let now = due + round % 4;
        assert_eq!(come(due, 10, now), 1);
        counted += come(due, 10, now);
        due = next(due, 10, now);
    }
    assert_eq!((due, counted), (100 + 10 * 1000, 1000));
}

#[test]
fn times_that_pass_unseen_are_counted_and_not_made_up_for() {
    for late in 0..100 {
        assert_eq!(come(50, 10, 50 + late), 1 + late / 10);
        let next = next(50, 10, 50 + late);
        assert!(next > 50 + late && next <= 60 + late);
        assert_eq!(next % 10, 0);
    }
}

#[test]
fn a_time_that_has_not_come_stays() {
    for now in 0..50 {
        assert_eq!((come(50, 10, now), next(50, 10, now)), (0, 50));
    }
}
