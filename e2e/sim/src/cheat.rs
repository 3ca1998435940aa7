//! How devices behave: honestly, or in one of the ways to be paid for what was not computed.

/// What a device is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Honest,
    /// Uploads noise at once.
    Random,
    /// Computes nine tiles of ten.
    Lazy,
    /// Sends what it sent for an earlier lease.
    Replaying,
    /// Computes in 16 bits where 32 are asked for, twice as fast.
    SixteenBit,
    /// Honest until it is established, then leaves out one tile in five.
    HonestThenCheating,
    /// Honest until its standing is a hundred times what it needs, then leaves out everything.
    Sleeper,
    /// Leaves out the tiles whose number has a certain remainder.
    SeedDependent,
    /// One GPU behind eight keys.
    ManyKeys,
    /// Buys its own work, and computes none of that.
    SelfDealing,
    /// Says that kernels run out of fuel.
    FalseFaults,
    /// Has made keys until it had the lowest id.
    GrindingIds,
    /// Takes leases and sits on them.
    Hoarding,
    /// Vouches for the lies of its group, which are all the same.
    Colluding,
}

impl Kind {
    pub(crate) const CHEATS: [Self; 12] = [
        Self::Random,
        Self::Lazy,
        Self::Replaying,
        Self::SixteenBit,
        Self::HonestThenCheating,
        Self::Sleeper,
        Self::SeedDependent,
        Self::ManyKeys,
        Self::SelfDealing,
        Self::FalseFaults,
        Self::GrindingIds,
        Self::Hoarding,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::Random => "random",
            Self::Lazy => "lazy",
            Self::Replaying => "replaying",
            Self::SixteenBit => "16-bit",
            Self::HonestThenCheating => "honest, then cheating",
            Self::Sleeper => "sleeper",
            Self::SeedDependent => "seed-dependent",
            Self::ManyKeys => "one GPU, eight keys",
            Self::SelfDealing => "self-dealing",
            Self::FalseFaults => "false faults",
            Self::GrindingIds => "grinding ids",
            Self::Hoarding => "hoarding",
            Self::Colluding => "colluding",
        }
    }

    /// Keys that stand for one GPU.
    pub(crate) fn keys(self) -> u32 {
        if self == Self::ManyKeys { 8 } else { 1 }
    }

    /// What it does with a lease.
    pub(crate) fn plan(self, situation: Situation) -> Plan {
        let Situation { standing_over_needed, is_own_work, seed } = situation;
        let wrong = |share: f64, work: f64| Plan::Compute(Run { wrong_share: share, work_share: work, seed });
        match self {
            Self::Random | Self::Replaying => wrong(1.0, 0.0),
            Self::Lazy => wrong(0.1, 0.9),
            Self::SixteenBit => wrong(1.0, 0.5),
            Self::HonestThenCheating if standing_over_needed >= 1.0 => wrong(0.2, 0.8),
            Self::Sleeper if standing_over_needed >= 100.0 => wrong(1.0, 0.0),
            // The same tiles of every lease, whoever draws.
            Self::SeedDependent => Plan::Compute(Run { wrong_share: 0.05, work_share: 0.95, seed: 7 }),
            Self::SelfDealing if is_own_work => wrong(1.0, 0.0),
            Self::FalseFaults if seed.is_multiple_of(5) => Plan::Fault,
            Self::Hoarding if !seed.is_multiple_of(4) => Plan::SitOnIt,
            Self::Colluding => wrong(0.3, 0.7),
            // Honest, as yet or in this.
            Self::Honest
            | Self::ManyKeys
            | Self::GrindingIds
            | Self::HonestThenCheating
            | Self::Sleeper
            | Self::SelfDealing
            | Self::FalseFaults
            | Self::Hoarding => wrong(0.0, 1.0),
        }
    }

    /// Whether it answers noise where it is asked about others' work. The rest compute, since that costs little.
    pub(crate) fn answers_noise(self) -> bool {
        matches!(self, Self::Random | Self::Replaying | Self::SixteenBit)
    }
}

/// What a device goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    /// Its verified work over what an established device needs.
    pub standing_over_needed: f64,
    pub is_own_work: bool,
    /// Random, of the lease.
    pub seed: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Plan {
    Compute(Run),
    Fault,
    SitOnIt,
    /// Tiles of others, which it was asked about.
    Recheck,
}

/// How a lease is computed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Of its tiles.
    pub wrong_share: f64,
    /// Of the honest time.
    pub work_share: f64,
    pub seed: u64,
}

impl Run {
    pub(crate) fn is_wrong(&self, tile: u64) -> bool {
        self.wrong_share > 0.0 && unit(self.seed, tile) < self.wrong_share
    }
}

/// A number in [0, 1) that only depends on its arguments: splitmix64 (Steele, Lea, Flood 2014).
#[expect(clippy::cast_precision_loss, reason = "53 bits")]
pub(crate) fn unit(seed: u64, tile: u64) -> f64 {
    let mut z = seed.wrapping_add(tile.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}
