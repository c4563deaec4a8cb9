//! A listing that several sources share: two data sets in one repository read it once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex as Turn;

/// Repositories that are remembered.
const MOST: usize = 64;

/// When it was read, and what it was.
type Kept<T> = Arc<Turn<Option<(Instant, Arc<T>)>>>;

/// What was read last, by repository.
#[derive(Debug)]
pub struct Once<T>(Mutex<HashMap<String, Kept<T>>>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Once<T> {
    /// What somebody else read after `last`, the asker's own last look, and not longer ago than `fresh`; otherwise it is read. Those who
    /// ask meanwhile wait for it. Also tells when it was read.
    ///
    /// # Errors
    /// Those of reading; they are not kept.
    pub async fn get<E>(&self, key: &str, last: Option<Instant>, fresh: Duration, read: impl Future<Output = Result<T, E>>) -> Result<(Instant, Arc<T>), E> {
        let slot = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= MOST && !all.contains_key(key) {
                all.clear();
            }
            Arc::clone(all.entry(key.to_owned()).or_default())
        };
        let mut slot = slot.lock().await;
        if let Some((at, kept)) = &*slot
            && last.is_none_or(|last| *at > last)
            && at.elapsed() < fresh
        {
            return Ok((*at, Arc::clone(kept)));
        }
        let kept = Arc::new(read.await?);
        let at = Instant::now();
        *slot = Some((at, Arc::clone(&kept)));
        Ok((at, kept))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn two_askers_read_once_and_one_that_asks_again_reads_anew() {
        let (once, reads) = (Once::<usize>::default(), AtomicUsize::new(0));
        let read = || async { Ok::<_, ()>(reads.fetch_add(1, Ordering::Relaxed)) };
        let fresh = Duration::from_secs(600);
        let (first, second) = tokio::join!(once.get("a", None, fresh, read()), once.get("a", None, fresh, read()));
        let (at, _) = first.unwrap();
        assert_eq!((at, reads.load(Ordering::Relaxed)), (second.unwrap().0, 1));
        assert_eq!(*once.get("a", Some(at), fresh, read()).await.unwrap().1, 1, "its own last look is not news");
        assert_eq!(*once.get("b", None, fresh, read()).await.unwrap().1, 2, "another repository");
        assert_eq!(*once.get("a", None, Duration::ZERO, read()).await.unwrap().1, 3, "too old");
        assert!(once.get("c", None, fresh, async { Err(()) }).await.is_err());
        assert_eq!(*once.get("c", None, fresh, read()).await.unwrap().1, 4, "a failure is not kept");
    }
}
