//! How many requests a scan makes, how many of them wait for another, and how much it holds meanwhile.

use super::*;

/// Turns that an answer takes: more than all that waits for none can do meanwhile.
const TURNS: usize = 500;

/// Requests that follow each other in `request`, and requests in all.
async fn rounds(store: &CountingStore, table: &Table, request: &ScanRequest) -> (usize, usize) {
    restart(store);
    collect(table, request).await.unwrap();
    (store.rounds.load(Ordering::Relaxed), store.taken().0)
}

fn restart(store: &CountingStore) {
    store.taken();
    store.turns.store(TURNS, Ordering::Relaxed);
    store.rounds.store(0, Ordering::Relaxed);
}

#[tokio::test]
async fn files_are_read_in_two_rounds_however_many_they_are() {
    let store = Arc::new(CountingStore::default());
    let table = open_table(shards(&store, &LOUVAINS).await).await;
    let all = ScanRequest::default();
    assert_eq!(rounds(&store, &table, &all).await, (2, 10 + 11), "footers, then columns");
    assert_eq!(rounds(&store, &table, &all).await, (1, 11), "the footers are known");
}

#[tokio::test]
async fn without_room_a_row_group_and_the_next_are_read() {
    let store = Arc::new(CountingStore::default());
    let options = TableOptions { ahead_bytes: 0, ..TableOptions::default() };
    let table = open(shards(&store, &LOUVAINS).await, options).await.unwrap();
    let all = ScanRequest::default();
    let (taken, requests) = rounds(&store, &table, &all).await;
    assert_eq!(requests, 21);
    assert!((6..=12).contains(&taken), "{taken}");
}

#[tokio::test]
async fn opening_may_count_rows_in_the_same_round() {
    let store = Arc::new(CountingStore::default());
    let source = shards(&store, &LOUVAINS).await;
    restart(&store);
    let options = TableOptions { counts_rows: true, ..TableOptions::default() };
    let table = open(source, options).await.unwrap();
    assert_eq!(table.count_rows().await.unwrap(), 70);
    assert_eq!((store.rounds.load(Ordering::Relaxed), store.taken().0), (1, 11));
}

#[tokio::test]
async fn small_row_groups_and_the_columns_of_a_filter_come_in_one_round() {
    let store = Arc::new(CountingStore::default());
    let grouped = open_table(generated(&store, &["grouped"]).await).await;
    let notes = ScanRequest { columns: columns(&["note"]), ..ScanRequest::default() };
    assert_eq!(rounds(&store, &grouped, &notes).await, (1, 10), "ten row groups");
    // No page index: nothing can be saved by looking at one column first.
    let table = open_table(shards(&store, &LOUVAINS).await).await;
    table.count_rows().await.unwrap();
    let some = filtered("n_genes > 0 AND percent_mito < 1 AND index > 'C'", &["cell_type"]);
    assert_eq!(rounds(&store, &table, &some).await, (1, 11));
}

#[tokio::test]
async fn a_page_index_is_read_once_for_all_row_groups() {
    let store = Arc::new(CountingStore::default());
    let table = open_table(generated(&store, &["grouped"]).await).await;
    let some = filtered("id >= 300 AND id < 1100", &["note"]);
    let (taken, requests) = rounds(&store, &table, &some).await;
    // The index; then of the five row groups, two of which are wanted in part, the filter's column, then the other.
    assert_eq!(taken, 3);
    assert!(requests <= 1 + 2 * 5, "{requests}");
}

#[tokio::test]
async fn batches_wait_up_to_a_number_of_bytes() {
    let batch = || {
        let values: ArrayRef = Arc::new(arrow::array::Int64Array::from_iter_values(0..512));
        RecordBatch::try_from_iter([("a", values)]).unwrap()
    };
    let (sender, mut receiver) = queue::new(3 * batch().get_array_memory_size().next_multiple_of(1024));
    for _ in 0..3 {
        assert!(sender.send(batch()).await);
    }
    assert!(futures::FutureExt::now_or_never(sender.send(batch())).is_none());
    assert_eq!(receiver.next().await.unwrap().unwrap().num_rows(), 512);
    assert!(futures::FutureExt::now_or_never(sender.send(batch())).unwrap());
    drop(receiver);
    assert!(!sender.send(batch()).await);

    let (sender, mut receiver) = queue::new(1);
    assert!(sender.send(batch()).await, "a batch alone fits always");
    sender.fail(Error::internal("over"));
    drop(sender);
    assert!(receiver.next().await.unwrap().is_ok());
    assert!(receiver.next().await.unwrap().is_err());
    assert!(receiver.next().await.is_none());
}
