//! Plans that tabs asked for lately: those that compute one job ask for the same.

use std::sync::Arc;

use bytes::Bytes;
use moka::future::Cache;

/// Plans kept with their constants, in KiB.
const KEPT_KIB: u64 = 512 << 10;

/// By a hash of the model, its inputs and the number of rows.
#[derive(Debug)]
pub struct KeptPlans(Cache<[u8; 32], PackedPlan>);

/// A plan as it travels, in postcard's format, and the constants beside it, one after another.
#[derive(Clone, Debug)]
pub struct PackedPlan {
    pub plan: Bytes,
    pub weights: Bytes,
}

impl Default for KeptPlans {
    fn default() -> Self {
        let kib = |_key: &[u8; 32], packed: &PackedPlan| {
            u32::try_from((packed.plan.len() + packed.weights.len()) / 1024 + 1).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().weigher(kib).max_capacity(KEPT_KIB).build())
    }
}

impl KeptPlans {
    /// Whoever asks for the same at once waits for the same plan.
    pub async fn find_or_pack(
        &self,
        key: [u8; 32],
        pack: impl Future<Output = anyhow::Result<PackedPlan>>,
    ) -> anyhow::Result<PackedPlan> {
        let packed = self.0.try_get_with(key, pack).await;
        packed.map_err(|error: Arc<anyhow::Error>| anyhow::anyhow!("a plan was not made: {error:#}"))
    }
}
