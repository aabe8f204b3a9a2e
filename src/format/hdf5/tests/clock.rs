//! Virtual time for a future that waits for nothing but sleeps on its clock and blocking tasks. Time
//! moves only when neither has anything left to do, so that what is measured is latency rounds and
//! nothing else, on a machine of any speed.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

#[derive(Debug, Default)]
pub(in crate::format::hdf5) struct Clock(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    now: Duration,
    sleeping: BTreeMap<Duration, Vec<Waker>>,
}

impl Clock {
    /// Time since the start.
    pub(in crate::format::hdf5) fn now(&self) -> Duration {
        self.0.lock().unwrap().now
    }

    pub(in crate::format::hdf5) async fn sleep(&self, time: Duration) {
        let due = self.now() + time;
        std::future::poll_fn(|context| {
            let mut state = self.0.lock().unwrap();
            if state.now >= due {
                return Poll::Ready(());
            }
            state.sleeping.entry(due).or_default().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn advance(&self) {
        let mut state = self.0.lock().unwrap();
        let (due, wakers) = state.sleeping.pop_first().expect("the future waits for something that never comes");
        state.now = due;
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Runs `work` to its end.
    pub(in crate::format::hdf5) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let woken = Arc::new(Woken(AtomicBool::new(true)));
            let waker = Waker::from(Arc::clone(&woken));
            let mut work = pin!(work);
            loop {
                while woken.0.swap(false, Ordering::SeqCst) {
                    if let Poll::Ready(result) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
                        return result;
                    }
                }
                // There is one blocking thread: when it comes to this, all tasks before it are done and
                // have woken who waits for them.
                tokio::task::spawn_blocking(|| ()).await.unwrap();
                if !woken.0.load(Ordering::SeqCst) {
                    self.advance();
                }
            }
        })
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}
