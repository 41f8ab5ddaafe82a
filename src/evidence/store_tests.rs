//! What is written is what is read, and what cannot be read does no harm.

use proptest::prelude::*;

use super::*;
use crate::evidence::ledger::tests::{DAY, NOW, OURS, SHOP, edge, ledger, presented, subject};
use crate::evidence::tally::Evidence;
use crate::policy::verdict::{Reason, Verdict};

fn seen(ledger: &Ledger) -> Evidence {
    ledger.evidence(SHOP, DAY * 7, NOW).remove(SHOP).expect("a configured name")
}

/// A ledger that adopts its configuration after it was given what `store` holds.
fn loaded(store: &Store) -> (Ledger, Result<(), SetAside>) {
    let ledger = Ledger::default();
    let result = store.load(&ledger, NOW);
    ledger.adopt(&[subject(&[SHOP], Some(OURS))], NOW);
    (ledger, result)
}

fn store(folder: &tempfile::TempDir) -> Store {
    Store::new(folder.path().join("evidence.json"))
}

/// Something of everything.
fn full() -> Ledger {
    let ledger = ledger();
    for number in 0..300_u32 {
        ledger.record(&presented(edge(number), "ours", Verdict::Verified));
        let [_, _, third, fourth] = number.to_be_bytes();
        let stranger = presented([198, third, fourth, 1], &number.to_string(), Verdict::Failed(Reason::Expired));
        ledger.record(&stranger);
    }
    ledger
}

#[test]
fn no_file_is_no_evidence_and_nothing_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ledger, result) = loaded(&store(&folder));
    assert!(result.is_ok());
    assert_eq!(seen(&ledger), Evidence::default());
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, ledger) = (store(&folder), full());
    store.save(&ledger, NOW).expect("it is written");
    store.save(&ledger, NOW).expect("and over itself");
    let (again, result) = loaded(&store);
    result.expect("it is read");
    assert_eq!(seen(&again), seen(&ledger));
    assert_eq!(again.strangers(DAY, NOW), ledger.strangers(DAY, NOW));
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1);
}

#[test]
fn a_save_that_fails_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let blocked = folder.path().join("evidence.json");
    fs::create_dir(&blocked).expect("a folder in its place");
    let error = Store::new(&blocked).save(&full(), NOW).expect_err("a folder is no file");
    assert!(matches!(error, SaveError::Write(_)));
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1);
    let nowhere = Store::new(folder.path().join("missing/evidence.json"));
    assert!(matches!(nowhere.try_folder(), Err(SaveError::Write(_))));
    assert!(matches!(nowhere.save(&full(), NOW), Err(SaveError::Write(_))));
    Store::new("/proc/1/evidence.json").try_folder().expect_err("not writable");
}

#[test]
fn a_file_that_a_killed_process_left_is_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(&folder);
    fs::write(store.temporary(), "half").expect("a file");
    store.save(&full(), NOW).expect("it is written");
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1);
}

#[test]
fn what_a_file_says_obeys_the_bounds_of_what_is_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(&folder);
    store.save(&full(), NOW).expect("it is written");
    let text = fs::read_to_string(store.path()).expect("the file");
    let mut value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let entries = &mut value["accounts"][0]["entries"];
    entries["edges"] = (0..500_u32).map(|number| serde_json::json!([std::net::Ipv4Addr::from(number), NOW])).collect();
    let outsider = entries["outsiders"][0][1].clone();
    let long = serde_json::Value::from("\u{1b}[2J".repeat(200));
    entries["outsiders"] = (0..500_u32)
        .map(|number| {
            let mut outsider = outsider.clone();
            outsider["path"] = long.clone();
            serde_json::json!([format!("{}/24", std::net::Ipv4Addr::from(number << 8)), outsider])
        })
        .collect();
    let certificate = entries["certificates"]["elsewhere"][0][1].clone();
    entries["certificates"]["elsewhere"] = (0..500_u32)
        .map(|number| {
            let mut certificate = certificate.clone();
            certificate["subject"] = long.clone();
            serde_json::json!([Fingerprint::of(&number.to_be_bytes()), certificate])
        })
        .collect();
    let failure = entries["failures"][0].clone();
    entries["failures"] = (0..500).map(|_| failure.clone()).collect();
    let bucket = entries["counts"]["hours"][0].clone();
    entries["counts"]["hours"] = (0..500_i64)
        .map(|number| {
            let mut bucket = bucket.clone();
            bucket["index"] = (i64::MAX - number).into();
            bucket
        })
        .collect();
    fs::write(store.path(), value.to_string()).expect("a file");
    let (ledger, result) = loaded(&store);
    result.expect("it is read");
    let evidence = seen(&ledger);
    assert_eq!((evidence.edges.addresses.len(), evidence.outsiders.len(), evidence.failures.len()), (256, 64, 1));
    assert!(evidence.certificates.len() <= 64);
    assert!(evidence.certificates.values().all(|seen| seen.subject.chars().count() <= 256));
    let path = evidence.outsiders.values().next().and_then(|outsider| outsider.path.clone()).expect("a path");
    assert!(path.chars().count() <= 128 && !path.contains('\u{1b}'));
}

fn expect_set_aside(store: &Store, bytes: &[u8]) {
    fs::write(store.path(), bytes).expect("a file");
    let (ledger, result) = loaded(store);
    assert_eq!(seen(&ledger), Evidence::default());
    let aside = result.expect_err("it cannot be used");
    assert_eq!(fs::read(aside.to.expect("it can be moved")).expect("the file set aside"), bytes);
    assert!(!store.path().exists());
}

#[test]
fn a_file_of_another_format_is_set_aside_and_says_which() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(&folder);
    fs::write(store.path(), "{\"format\":7,\"accounts\":{\"what\":\"ever\"}}").expect("a file");
    let aside = loaded(&store).1.expect_err("it cannot be used");
    assert_eq!(aside.error.to_string(), "has format 7, this version reads 1");
}

#[test]
fn a_file_that_is_too_large_is_set_aside_unread() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(&folder);
    let file = File::create(store.path()).expect("a file");
    file.set_len(MAX_FILE_BYTES + 1).expect("a sparse file");
    let aside = loaded(&store).1.expect_err("it cannot be used");
    assert!(matches!(aside.error, LoadError::TooLarge), "{:?}", aside.error);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_file_cut_anywhere_is_set_aside(share in 0.0f64..1.0) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(&folder);
        store.save(&full(), NOW).expect("it is written");
        let whole = fs::read(store.path()).expect("the file");
        // The last byte is the line's end.
        let cut = (((whole.len() - 1) as f64) * share) as usize;
        expect_set_aside(&store, &whole[..cut]);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let folder = tempfile::tempdir().expect("a folder");
        expect_set_aside(&store(&folder), &bytes);
    }
}
