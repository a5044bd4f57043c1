use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// All of its work at once.
fn forget(store: &mut Store) {
    store.forget();
    while store.next_expiry().is_some_and(|time| time <= store.now) {
        store.forget();
    }
}

#[test]
fn what_is_used_comes_back() {
    let mut store = Store::new(10_000);
    store.set(b"first", b"", Expiry::Never).unwrap();
    store.remove(b"first");
    let before = store.memory.used();
    for round in 0..3_u64 {
        store.now = 100 * round;
        store.set(b"a", b"1", Expiry::Never).unwrap();
        store.set(b"b", b"22", Expiry::At(store.now + 10)).unwrap();
        store.set(b"b", b"333", Expiry::Keep).unwrap();
        store.set(b"c", b"4", Expiry::At(store.now + 20)).unwrap();
        assert_eq!(store.next_expiry(), Some(store.now + 10));
        store.persist(b"c");
        store.expire_at(b"c", store.now + 5).unwrap();
        assert_eq!(store.next_expiry(), Some(store.now + 5));
        assert_eq!(store.append(b"a", &[2; 1000]), Ok(1001));
        store.now += 10;
        assert_eq!(store.get(b"b"), None);
        forget(&mut store);
        assert_eq!((store.len(), store.expiring()), (1, 0));
        assert!(store.remove(b"a"));
        assert!(!store.remove(b"a"));
        assert_eq!(store.memory.used(), before);
    }
}

#[test]
fn what_is_over_counts_for_nothing_before_it_is_forgotten() {
    let mut store = Store::new(10_000);
    for key in [b"a", b"b", b"c"] {
        store.set(key, b"1", Expiry::At(10)).unwrap();
    }
    store.now = 10;
    assert!(!store.remove(b"a"));
    // Its time goes with it, and is not kept for what comes after.
    store.set(b"b", b"3", Expiry::Keep).unwrap();
    assert_eq!(store.get(b"b"), Some(&b"3"[..]));
    assert_eq!(store.append(b"c", b"4"), Ok(1));
    assert_eq!(store.get(b"c"), Some(&b"4"[..]));
    assert_eq!(store.next_expiry(), None);
}

#[test]
fn beyond_the_limit_nothing_changes() {
    let mut store = Store::new(1000);
    store.set(b"a", &[1; 200], Expiry::Never).unwrap();
    assert_eq!(store.set(b"b", &[2; 400], Expiry::Never), Err(OutOfMemory));
    assert_eq!(store.set(b"a", &[2; 700], Expiry::Never), Err(OutOfMemory));
    assert_eq!(store.append(b"a", &[2; 700]), Err(OutOfMemory));
    assert_eq!(store.get(b"a"), Some(&[1; 200][..]));
    let mut held = 0;
    store.memory.hold(&mut held, 400);
    assert_eq!(store.expire_at(b"a", 10), Err(OutOfMemory));
    assert_eq!(store.next_expiry(), None);
    assert_eq!(store.set(b"a", &[2; 200], Expiry::At(10)), Err(OutOfMemory));
    // What needs no more memory is done.
    store.set(b"a", &[2; 200], Expiry::Never).unwrap();
    store.memory.hold(&mut held, 0);
    store.expire_at(b"a", 10).unwrap();
    store.memory.hold(&mut held, 400);
    store.expire_at(b"a", 20).unwrap();
    store.set(b"a", &[3; 200], Expiry::At(30)).unwrap();
    assert_eq!(store.next_expiry(), Some(30));
    store.memory.hold(&mut held, 0);
    store.clear();
    forget(&mut store);
    store.set(b"b", &[2; 200], Expiry::Never).unwrap();
}

#[test]
fn a_large_value_does_not_keep_its_place_for_a_small_one() {
    let mut store = Store::new(10 << 20);
    store.set(b"a", &[1; 1 << 20], Expiry::Never).unwrap();
    assert!(store.memory.used() >= 1 << 20);
    store.set(b"a", b"1", Expiry::Never).unwrap();
    assert!(store.memory.used() < 10_000);
}

/// Numbers that look random, and are the same each time.
fn numbers() -> impl FnMut(u64) -> u64 {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    move |limit| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % limit
    }
}

#[test]
fn it_does_what_a_plain_map_does() {
    let mut below = numbers();
    let mut store = Store::new(usize::MAX);
    let mut model: BTreeMap<Vec<u8>, (Vec<u8>, u64)> = BTreeMap::new();
    for step in 0..100_000_u64 {
        // It grows, and shrinks, and grows again.
        let keys = if step / 25_000 % 2 == 0 { 20_000 } else { 2000 };
        let key = below(keys).to_string().into_bytes();
        let value = vec![step as u8; below(50) as usize];
        match below(10) {
            0..=3 => {
                store.set(&key, &value, Expiry::Never).unwrap();
                model.insert(key, (value, NEVER));
            }
            4 => {
                let time = store.now + 1 + below(500);
                store.set(&key, &value, Expiry::At(time)).unwrap();
                model.insert(key, (value, time));
            }
            5 => {
                let time = store.now + 1 + below(500);
                store.expire_at(&key, time).unwrap();
                model.entry(key).and_modify(|(_, expires)| *expires = time);
            }
            6 => {
                store.append(&key, &value).unwrap();
                let (before, _) = model.entry(key).or_insert((Vec::new(), NEVER));
                before.extend(value);
            }
            7 | 8 => assert_eq!(store.remove(&key), model.remove(&key).is_some()),
            _ => {
                store.now += 1;
                forget(&mut store);
                model.retain(|_, (_, expires)| *expires > store.now);
            }
        }
        if step == 75_000 {
            store.clear();
            model.clear();
        }
        assert_eq!(store.len(), model.len());
    }
    let waiting = model.values().filter(|(_, expires)| *expires != NEVER);
    assert_eq!(store.expiring(), waiting.count());
    for (key, (value, _)) in &model {
        assert_eq!(store.get(key), Some(&**value));
    }
    for key in model.keys() {
        assert!(store.remove(key));
    }
    forget(&mut store);
    assert_eq!(store.entries, 0);
    assert!(store.memory.used() < 100_000, "{}", store.memory.used());
}

#[test]
fn a_walk_meets_once_what_stays_while_all_else_comes_and_goes() {
    let mut store = Store::new(usize::MAX);
    let name = |kind: &str, n: u32| format!("{kind}{n}").into_bytes();
    for n in 0..10_000 {
        store.set(&name("stays", n), b"", Expiry::Never).unwrap();
        store.set(&name("goes", n), b"", Expiry::Never).unwrap();
    }
    let mut met = BTreeSet::new();
    let (mut next, mut steps) = (Some(0), 0_u32);
    while let Some(from) = next {
        let keys;
        (keys, next) = store.walk(from);
        assert!(keys.len() <= 2048, "{} keys at once", keys.len());
        for key in keys {
            assert!(met.insert(key.to_vec()), "{key:?} is met twice");
        }
        for n in 0..2000 {
            store.remove(&name("goes", (steps * 2000 + n) % 10_000));
            let comes = name("comes", steps * 2000 + n);
            store.set(&comes, b"", Expiry::Never).unwrap();
        }
        steps += 1;
    }
    assert!(steps > 5, "{steps} parts");
    for n in 0..10_000 {
        assert!(met.contains(&name("stays", n)), "{n}");
    }
}

#[test]
fn a_walk_meets_nothing_twice_though_everything_is_new() {
    let mut store = Store::new(usize::MAX);
    let fill = |store: &mut Store| {
        for n in 0..10_000_u32 {
            store.set(&n.to_le_bytes(), b"", Expiry::Never).unwrap();
        }
    };
    fill(&mut store);
    let (first, mut next) = store.walk(0);
    let mut met: BTreeSet<Key> = first.into_iter().collect();
    // In the small table, where it was before is in the same part as what comes next.
    store.clear();
    for n in 0..1000_u32 {
        store.set(&n.to_le_bytes(), b"", Expiry::Never).unwrap();
    }
    while let Some(from) = next {
        let keys;
        (keys, next) = store.walk(from);
        for key in keys {
            assert!(met.insert(key), "a key is met twice");
        }
        fill(&mut store);
    }
}

#[test]
fn a_key_is_counted_as_long_as_a_walk_has_it() {
    let mut store = Store::new(usize::MAX);
    let key = [7; 100_000];
    store.set(&key, b"", Expiry::At(10)).unwrap();
    let (keys, _) = store.walk(0);
    store.now = 10;
    forget(&mut store);
    assert_eq!(store.len(), 0);
    assert!(store.memory.used() > key.len());
    drop(keys);
    forget(&mut store);
    assert!(store.memory.used() < 1000);
}

#[test]
fn keys_that_are_over_together_are_forgotten_some_at_a_time() {
    let mut store = Store::new(usize::MAX);
    for n in 0..50_000_u32 {
        store.set(&n.to_le_bytes(), b"", Expiry::At(10)).unwrap();
    }
    store.now = 10;
    assert_eq!(store.get(&1_u32.to_le_bytes()), None);
    let mut before = store.len();
    while before > 0 {
        store.forget();
        let forgotten = before - store.len();
        assert!((1..2000).contains(&forgotten), "{forgotten} at once");
        before = store.len();
        // It is to be looked at again at once, or not at all.
        let next = (before > 0).then_some(10);
        assert_eq!(store.next_expiry(), next);
    }
}

/// However many there are, a new key moves few of them.
#[test]
fn the_table_grows_and_shrinks_in_small_steps() {
    let mut store = Store::new(usize::MAX);
    let mut most = 0;
    for n in 0..200_000_u32 {
        let before = store.table.cost();
        store.set(&n.to_le_bytes(), b"", Expiry::Never).unwrap();
        most = most.max(store.table.cost().abs_diff(before));
    }
    let full = store.table.cost();
    for n in 0..200_000_u32 {
        let before = store.table.cost();
        assert!(store.remove(&n.to_le_bytes()));
        most = most.max(store.table.cost().abs_diff(before));
    }
    assert!(most < full / 50, "{most} of {full} bytes at once");
    let left = store.table.cost();
    assert!(left < full / 20, "{left} of {full} bytes are left");
}

#[test]
fn what_is_thrown_away_is_given_back_little_by_little() {
    let mut store = Store::new(usize::MAX);
    for n in 0..100_000_u32 {
        let expiry = if n % 2 == 0 {
            Expiry::At(1 << 40)
        } else {
            Expiry::Never
        };
        store.set(&n.to_le_bytes(), b"value", expiry).unwrap();
    }
    let full = store.memory.used();
    store.clear();
    assert_eq!((store.len(), store.expiring()), (0, 0));
    assert_eq!(store.get(&1_u32.to_le_bytes()), None);
    let mut turns = 0;
    while store.has_rubbish() {
        let before = store.memory.used();
        store.forget();
        let back = before - store.memory.used();
        assert!(back < full / 20, "{back} of {full} bytes at once");
        turns += 1;
    }
    assert!(turns > 50, "{turns} turns");
    assert!(store.memory.used() < 1000);
}
