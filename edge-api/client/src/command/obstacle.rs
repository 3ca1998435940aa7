//! Why nobody does a job now, and what would change that.

use indicatif::DecimalBytes;
use wire::Obstacle;

pub(crate) fn obstacle_text(obstacle: &Obstacle) -> String {
    let bytes = |count: &u64| DecimalBytes(*count);
    match obstacle {
        Obstacle::NoDevice => "no device is connected".to_owned(),
        Obstacle::NoOwnDevice => "none of your own devices is connected; `tessera device link` links one".to_owned(),
        Obstacle::NoKnownDevice => "no device of a verified account is connected; --privacy open takes any".to_owned(),
        Obstacle::Memory { needs, largest } => format!(
            "it needs a buffer of {}, and the largest connected device has {}; fewer rows a tile need less",
            bytes(needs),
            bytes(largest)
        ),
        Obstacle::NoKernelDevice => "no connected device runs kernels".to_owned(),
        Obstacle::AllUnfit => "every connected device that could do it has said that it cannot".to_owned(),
        Obstacle::AllAtRest => "the connected devices that could do it take no work now".to_owned(),
        Obstacle::NoChecker => "no checker is connected, and nothing else here can check it".to_owned(),
        Obstacle::CheckerMemory { needs } => {
            format!("it needs a checker with a buffer of {}, and none is connected", bytes(needs))
        }
        Obstacle::FewJudges => {
            "it is checked by devices of two other accounts with standing, and fewer are connected".to_owned()
        }
    }
}
