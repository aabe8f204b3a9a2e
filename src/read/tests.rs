//! The bounds that all reads share.

use std::time::Duration;

use super::context::ReadContext;
use super::decoders::Turn;
use crate::error::Kind;

fn context(memory: u64, wait: Duration) -> ReadContext {
    ReadContext::new(memory, memory, 2, 4, wait)
}

#[tokio::test]
async fn what_can_never_fit_is_refused_at_once() {
    let context = context(4 << 20, Duration::from_secs(600));
    let error = context.reserve(4 << 20).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ResourceExhausted);
    assert_eq!(error.to_string(), "4194304 bytes are needed at once, of memory_budget 3145728 bytes are for that");
    let error = context.check_chunk((4 << 20) + 1).unwrap_err();
    assert_eq!(error.kind(), Kind::ResourceExhausted);
    assert!(context.check_chunk(4 << 20).is_ok());
}

#[tokio::test]
async fn memory_that_others_hold_is_waited_for_and_then_refused() {
    let context = context(4 << 20, Duration::from_millis(200));
    let held = context.reserve(3 << 20).await.unwrap();
    let error = context.reserve(1 << 20).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ResourceExhausted);
    assert!(error.is_retryable() && error.message().contains("for 200ms"), "{error}");
    let waiting = tokio::spawn({
        let context = context.clone();
        async move { context.reserve(1 << 20).await.map(drop) }
    });
    tokio::task::yield_now().await;
    drop(held);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_larger_than_all_room_goes_alone() {
    let context = context(4 << 20, Duration::from_secs(60));
    let large = context.fetching(1 << 30).await.unwrap();
    let second = tokio::time::timeout(Duration::from_millis(50), context.fetching(1)).await;
    assert!(second.is_err(), "a second request was let in beside one that fills the budget");
    drop(large);
    drop(context.fetching(1).await.unwrap());
}

#[tokio::test]
async fn one_stream_leaves_room_for_what_others_fetch() {
    let context = ReadContext::new(64 << 20, 16 << 20, 2, 4, Duration::from_secs(60));
    let (one, other) = (context.of_stream(), context.of_stream());
    // All that one stream may take, and what the same stream asks for besides, at another turn too.
    let held = one.fetching(8 << 20).await.unwrap();
    let more = tokio::time::timeout(Duration::from_millis(50), one.at(Turn::default()).fetching(1)).await;
    assert!(more.is_err(), "a stream took more than its part");
    let beside = tokio::time::timeout(Duration::from_secs(10), other.fetching(1)).await;
    drop(beside.expect("a stream had all of the room").unwrap());
    drop(held);
    drop(one.fetching(1).await.unwrap());
}

#[tokio::test]
async fn a_decode_that_panics_is_an_error_and_frees_its_place() {
    let context = context(4 << 20, Duration::from_secs(60));
    for _ in 0..5 {
        let error = context.decode::<()>(|| panic!("a fault of the test")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
    }
    assert_eq!(context.decode(|| Ok(7)).await.unwrap(), 7);
}

#[tokio::test]
async fn background_work_has_its_own_decoders_and_the_same_memory() {
    let context = context(4 << 20, Duration::from_millis(50));
    let background = context.in_background();
    assert_eq!((background.decode_threads, background.requests_in_flight), (1, 2));
    let held = background.reserve(3 << 20).await.unwrap();
    assert!(context.reserve(1 << 20).await.is_err());
    drop(held);
    // It is held to one decode at a time, and others never wait for it.
    let (begun, go_on) = (tokio::sync::oneshot::channel(), std::sync::mpsc::channel::<()>());
    let (waiting, other) = (background.clone(), background.clone());
    let first = tokio::spawn(async move {
        waiting
            .decode(move || {
                begun.0.send(()).unwrap();
                go_on.1.recv().unwrap();
                Ok(1)
            })
            .await
    });
    begun.1.await.unwrap();
    let second = tokio::spawn(async move { other.decode(|| Ok(2)).await });
    assert_eq!(context.decode(|| Ok(3)).await.unwrap(), 3);
    assert!(!second.is_finished());
    go_on.0.send(()).unwrap();
    assert_eq!((first.await.unwrap().unwrap(), second.await.unwrap().unwrap()), (1, 2));
}
