//! What was typed into the form is there again when its page is loaded anew, or gone back to. Files are not: a page
//! cannot choose them.

use std::collections::BTreeMap;

use leptos::prelude::*;
use wire::{AccountId, Privacy};

use super::job_form::JobForm;
use crate::browser::tab_storage;

const STORAGE_KEY: &str = "tessera-new-job";
/// Where a form stands among what is kept: another job's is another form.
const ADDRESS: &str = "address";
/// Whose form it is; another account's is another form.
const ACCOUNT: &str = "account";
const NO_ACCOUNT: &str = "none";
const PRIVACY: &str = "privacy";
const DEADLINE_UNIT: &str = "deadline_unit";

/// Keeps what is typed. The signal says whether anything was put back.
pub(super) fn keep(form: JobForm) -> RwSignal<bool> {
    let is_back = RwSignal::new(false);
    Effect::new(move |before: Option<()>| {
        if before.is_none() && was_left() {
            let kept = tab_storage::read(STORAGE_KEY).and_then(|text| serde_json::from_str(&text).ok());
            is_back.set(kept.is_some_and(|kept| put_back(form, &kept)));
        }
        if let Ok(text) = serde_json::to_string(&typed(form)) {
            tab_storage::write(STORAGE_KEY, &text);
        }
    });
    is_back
}

/// Whether this page was loaded anew or gone back to, and not come to by a link.
fn was_left() -> bool {
    window().performance().is_some_and(|performance| performance.navigation().type_() != 0)
}

fn address() -> String {
    window().location().search().unwrap_or_default()
}

fn typed(form: JobForm) -> BTreeMap<String, String> {
    let texts = form.typed().into_iter().map(|(name, text)| (name.to_owned(), text.get()));
    let others = [
        (ADDRESS, address()),
        (ACCOUNT, account_name(form.draft.account.with(|account| account.as_ref().map(|account| account.id)))),
        (PRIVACY, form.draft.privacy.get().name().to_owned()),
        (DEADLINE_UNIT, form.draft.deadline_unit.get().to_string()),
    ];
    texts.chain(others.map(|(name, text)| (name.to_owned(), text))).collect()
}

fn account_name(account: Option<AccountId>) -> String {
    account.map_or_else(|| NO_ACCOUNT.to_owned(), |id| id.to_string())
}

/// Whether what is kept was typed into this page's form, by the account that it is shown to.
fn is_same_form(kept: &BTreeMap<String, String>, shown: &BTreeMap<String, String>) -> bool {
    [ADDRESS, ACCOUNT].into_iter().all(|name| kept.contains_key(name) && kept.get(name) == shown.get(name))
}

/// Whether that was anything else than what the form began with.
fn put_back(form: JobForm, kept: &BTreeMap<String, String>) -> bool {
    let shown = untrack(|| typed(form));
    if !is_same_form(kept, &shown) || *kept == shown {
        return false;
    }
    for (name, text) in form.typed() {
        if let Some(typed) = kept.get(name) {
            text.set(typed.clone());
        }
    }
    let privacy = kept.get(PRIVACY).and_then(|name| Privacy::ALL.into_iter().find(|class| class.name() == name));
    if let Some(privacy) = privacy {
        form.draft.privacy.set(privacy);
    }
    if let Some(unit) = kept.get(DEADLINE_UNIT).and_then(|unit| unit.parse().ok()) {
        form.draft.deadline_unit.set(unit);
    }
    form.on_put_back();
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_account_typed_is_put_back_for_no_other() {
        let of = |account, address: &str| {
            BTreeMap::from([(ADDRESS.to_owned(), address.to_owned()), (ACCOUNT.to_owned(), account_name(account))])
        };
        let (one, other) = (Some(AccountId::platform(1)), Some(AccountId::platform(2)));
        let kept = of(one, "?from=7");

        assert!(is_same_form(&kept, &of(one, "?from=7")));
        assert!(!is_same_form(&kept, &of(other, "?from=7")));
        assert!(!is_same_form(&kept, &of(None, "?from=7")));
        assert!(!is_same_form(&kept, &of(one, "")));
        assert!(is_same_form(&of(None, ""), &of(None, "")), "before there is an account too");
        let unnamed = BTreeMap::from([(ADDRESS.to_owned(), String::new())]);
        assert!(!is_same_form(&unnamed, &of(None, "")));
    }
}
