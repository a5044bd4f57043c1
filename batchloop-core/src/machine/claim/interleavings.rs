//! Claims that meet, under loom.

use std::sync::Arc;

use loom::thread;

use super::*;

#[test]
fn one_of_two_threads_gets_it() {
    loom::model(|| {
        let claim = Arc::new(Claim::new());
        let other = {
            let claim = Arc::clone(&claim);
            thread::spawn(move || claim.take().is_ok())
        };
        let ours = claim.take().is_ok();
        assert!(ours != other.join().unwrap(), "one, and not both or none");
        assert_eq!(claim.take(), Err(Claimed));
    });
}
