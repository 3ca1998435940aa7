use std::rc::Rc;

use leptos::prelude::*;
use wire::lend::{Benchmark, FromWorker, ToWorker};
use wire::{PricePerCu, number};

use crate::browser::backend::{ANY_BACKEND, Backend};
use crate::browser::web_worker::{WebWorker, run_request};
use crate::components::Fact;
use crate::text::{hardware, spaced, text};

/// How long the visitor's GPU is measured.
const SECS: u8 = 10;

/// What lending would bring, by figures that all stand on the page.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Assumptions {
    /// Measured on this device.
    gflops: f64,
    /// Micro-credits a CU.
    price: i64,
    fee_bps: i64,
    utilisation_bps: u64,
    hours_a_day: f64,
    duty_percent: f64,
    /// What the device draws while it computes, over what it draws idle.
    watts: f64,
    /// Credits (dollars) a kilowatt-hour.
    electricity: f64,
}

/// Credits a month of thirty days.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Profit {
    earned: f64,
    power: f64,
}

impl Assumptions {
    #[expect(clippy::cast_precision_loss, reason = "a forecast, shown with four digits")]
    fn profit(&self) -> Profit {
        // Seconds of the month that the device really computes.
        let secs =
            30.0 * self.hours_a_day * 3600.0 * (self.duty_percent / 100.0) * (self.utilisation_bps as f64 / 10_000.0);
        let cu = self.gflops * 1e9 * secs / 1e12;
        let earned = cu * self.price as f64 / 1e12 * (1.0 - self.fee_bps as f64 / 10_000.0);
        Profit { earned, power: self.watts / 1000.0 * secs / 3600.0 * self.electricity }
    }
}

/// Measures this device and says what it would earn.
#[island]
pub fn CalculatorIsland(
    /// Of a CU, now.
    price: PricePerCu,
    /// The platform's part, in hundredths of a percent.
    fee_bps: i64,
    /// Of the last seven days.
    utilisation_bps: Option<u64>,
) -> impl IntoView {
    let t = text();
    let measured = RwSignal::new(None::<Benchmark>);
    let running = RwSignal::new(false);
    let failure = RwSignal::new(None::<String>);
    let worker = StoredValue::new_local(None::<WebWorker>);
    let hours = RwSignal::new(8.0);
    let duty = RwSignal::new(50.0);
    let watts = RwSignal::new(120.0);
    let electricity = RwSignal::new(0.30);
    let start = move || {
        failure.set(None);
        running.set(true);
        let make_request = |backend: Backend| ToWorker::Benchmark { software: backend.allows_software(), secs: SECS };
        let on_finish = move |outcome| {
            running.try_set(false);
            match outcome {
                Ok(FromWorker::Benchmarked(benchmark)) => drop(measured.try_set(Some(benchmark))),
                Ok(_) => {}
                Err(message) => drop(failure.try_set(Some(message))),
            }
        };
        run_request(worker, ANY_BACKEND, Rc::new(make_request), Rc::new(on_finish));
    };
    let profit = Signal::derive(move || {
        measured.get().map(|benchmark| {
            Assumptions {
                gflops: benchmark.gflops,
                price: price.0,
                fee_bps,
                utilisation_bps: utilisation_bps.unwrap_or(0),
                hours_a_day: hours.get(),
                duty_percent: duty.get(),
                watts: watts.get(),
                electricity: electricity.get(),
            }
            .profit()
        })
    });
    view! {
        <div class="columns">
            <section class="card">
                <Device measured running failure on_start=start/>
                <Amount id="hours" label=t.lend.hours_a_day value=hours most=24.0/>
                <Amount id="duty-share" label=t.lend.duty_share value=duty most=100.0/>
                <Amount id="watts" label=t.lend.watts value=watts most=2000.0/>
                <Amount id="electricity" label=t.lend.electricity value=electricity most=10.0/>
            </section>
            <Month profit price fee_bps utilisation_bps/>
        </div>
    }
}

/// The button that measures, and what it found.
#[component]
fn Device(
    /// Once it is.
    measured: RwSignal<Option<Benchmark>>,
    /// While it is being measured.
    running: RwSignal<bool>,
    /// Why it was not.
    failure: RwSignal<Option<String>>,
    /// The person asks for it.
    on_start: impl Fn() + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let t = text();
    view! {
        <h2>{t.lend.your_device}</h2>
        <p class="actions">
            <button type="button" class="primary" disabled=move || running.get() on:click=move |_| on_start()>
                {move || if running.get() { t.lend.measuring } else { t.lend.measure }}
            </button>
        </p>
        <p class="error" role="alert">{move || failure.get()}</p>
        <dl class="facts" aria-live="polite">
            <Fact label=t.site.speed><span data-testid="measured">{move || measured.get().map_or_else(|| "–".to_owned(), |benchmark| format!("{:.1} GOP/s", benchmark.gflops))}</span></Fact>
            <Fact label=t.site.gpu><small>{move || measured.get().map_or_else(|| "–".to_owned(), |benchmark| hardware(&benchmark.adapter))}</small></Fact>
        </dl>
    }
}

/// What a month would bring, and on what assumptions.
#[component]
fn Month(
    /// Once the device is measured.
    #[prop(into)]
    profit: Signal<Option<Profit>>,
    /// Of a CU.
    price: PricePerCu,
    /// The platform's part.
    fee_bps: i64,
    /// Of the last seven days.
    utilisation_bps: Option<u64>,
) -> impl IntoView {
    let t = text();
    let figure = move |read: fn(Profit) -> f64| {
        move || profit.get().map_or_else(|| "–".to_owned(), |profit| crate::format::about_credits(read(profit)))
    };
    view! {
        <section class="card" aria-live="polite">
            <h2>{t.lend.a_month}</h2>
            <dl class="facts">
                <Fact label=t.lend.would_earn><span data-testid="would-earn">{figure(|profit| profit.earned)}</span> " " <small>{t.site.credits}</small></Fact>
                <Fact label=t.lend.would_cost>{figure(|profit| profit.power)}</Fact>
                <Fact label=t.lend.would_keep>{figure(|profit| profit.earned - profit.power)}</Fact>
            </dl>
            <h3>{t.lend.assumptions}</h3>
            <ul>
                <li>{spaced(t.lend.assume_price)} <b>{crate::format::price(price)}</b></li>
                <li>{spaced(t.lend.assume_fee)} <b>{crate::format::percent(number::to(fee_bps))}</b></li>
                <li>{spaced(t.lend.assume_utilisation)} <b>{utilisation_bps.map_or_else(|| t.lend.unknown.to_owned(), crate::format::percent)}</b></li>
                <li>{t.lend.assume_cu}</li>
                <li>{t.lend.assume_month}</li>
            </ul>
        </section>
    }
}

/// `None` where what is typed is no number from 0 to `most`.
fn amount_of(typed: &str, most: f64) -> Option<f64> {
    typed.trim().parse::<f64>().ok().filter(|typed| (0.0..=most).contains(typed))
}

/// A number from 0 to `most`. While what is typed is none, the last one that was counts.
#[component]
fn Amount(
    /// The element's id.
    id: &'static str,
    /// What it is, with its unit.
    label: &'static str,
    /// The number.
    value: RwSignal<f64>,
    /// The largest.
    most: f64,
) -> impl IntoView {
    let t = text();
    let refused = RwSignal::new(false);
    let on_input = move |event| {
        let typed = amount_of(&event_target_value(&event), most);
        refused.set(typed.is_none());
        if let Some(typed) = typed {
            value.set(typed);
        }
    };
    let error = format!("{id}-error");
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <input id=id type="number" min="0" max=most.to_string() step="any" value=value.get_untracked().to_string() on:input=on_input
                aria-describedby=error.clone() aria-invalid=move || refused.get().to_string()/>
            <p class="error" id=error role="alert">
                {move || refused.get().then(|| format!("{} {most}{}", t.lend.amount_from_to, t.site.stop.trim_end()))}
            </p>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_within_its_bounds() {
        assert_eq!(["0", " 7.5", "24"].map(|typed| amount_of(typed, 24.0)), [Some(0.0), Some(7.5), Some(24.0)]);
        for typed in ["", "-1", "24.5", "1e9", "NaN", "many"] {
            assert_eq!(amount_of(typed, 24.0), None, "{typed}");
        }
    }

    #[test]
    fn a_month_of_a_tenth_used_gpu_is_its_work_at_the_price_less_fee_and_power() {
        let assumptions = Assumptions {
            gflops: 1000.0,
            price: 20_000_000,
            fee_bps: 1000,
            utilisation_bps: 1000,
            hours_a_day: 10.0,
            duty_percent: 100.0,
            watts: 100.0,
            electricity: 0.3,
        };

        let profit = assumptions.profit();

        // 30 × 10 h × 10 % = 108,000 s at one CU a second.
        assert!((profit.earned - 108_000.0 * 20e-6 * 0.9).abs() < 1e-9, "{profit:?}");
        assert!((profit.power - 0.1 * 30.0 * 0.3).abs() < 1e-9, "{profit:?}");
    }
}
