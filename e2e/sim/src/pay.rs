//! What judges are paid, counted in thousands of operations as leases are.

use rules::billing::judge::Question;
use rules::verification::dispute::{Comparison, Outcome};
use wire::{DeviceId, PricePerCu};

use crate::case::{Case, Open};
use crate::world::{TILE_FLOPS, World};

/// A micro-credit for a thousand million operations.
const PRICE: PricePerCu = PricePerCu(1_000_000_000);
const FEE_BPS: i64 = 1000;
/// Atto-credits for a thousand operations at that price.
const ATTOS_A_KFLOP: i64 = 1_000_000;

impl World {
    /// The words of those who computed drawn tiles stand.
    pub(crate) fn pay_for_check(&mut self, case: &Case) {
        let lease_tiles = self.receipts[&case.lease].tiles.into();
        let mut paid = 0;
        for (device, tiles) in &case.judged {
            let (flops, drawn) = (tiles * TILE_FLOPS, case.drawn.into());
            paid += self.pay(*device, Question::Check { flops, tiles: *tiles, drawn, lease_tiles }, paid);
        }
    }

    /// So do those of witnesses whom the outcome bears out.
    pub(crate) fn pay_witnesses(&mut self, open: &Open, outcome: Outcome) {
        let is_right = |comparison: &Comparison| match outcome {
            Outcome::DeviceWrong => comparison.with_checker,
            Outcome::CheckerWrong => comparison.with_device,
            Outcome::NotReproducible => true,
        };
        for (device, _) in open.witnesses.iter().filter(|(_, comparison)| is_right(comparison)) {
            self.pay_for_dispute(*device);
        }
    }

    pub(crate) fn pay_for_dispute(&mut self, device: DeviceId) {
        self.pay(device, Question::Dispute { flops: TILE_FLOPS }, 0);
    }

    /// Returns it in atto-credits.
    fn pay(&mut self, device: DeviceId, question: Question, paid: i64) -> i64 {
        let worth = question.worth(PRICE, FEE_BPS, paid).expect("a tile's price should fit");
        let index = self.by_id[&device];
        self.gpus[index].record.judged_kflop += u64::try_from(worth / ATTOS_A_KFLOP).unwrap_or(0);
        worth
    }
}
