use leptos::prelude::*;
use wire::device::DeviceClass;

use crate::api::{Api, Failure};
use crate::components::{Downloads, EmptyState, ExplorerTabs, Pager, class_name, device_table};
use crate::document::Document;
use crate::route::Page;
use crate::text::Text;
use crate::visit::{Visit, href};

/// Devices by verified work.
pub(crate) async fn load(t: &'static Text, visit: &Visit, api: &Api) -> Result<Document, Failure> {
    let page = api.public_devices(&visit.forward_query(&["after", "limit", "class", "online"])).await?;
    let chosen = visit.parameter("class").unwrap_or_default().to_owned();
    let online = visit.parameter("online") == Some("1");
    let lang = visit.lang_chosen.then(|| visit.lang.code());
    let body = move || {
        let option = |class: DeviceClass| {
            view! { <option value=class.name() selected=chosen == class.name()>{class_name(class)}</option> }
        };
        view! {
            <h1>{t.site.devices}</h1>
            <ExplorerTabs/>
            <form class="toolbar" method="get">
                <div>
                    <label for="class">{t.explorer.class}</label>
                    <select id="class" name="class" data-submits>
                        <option value="">{t.site.all}</option>
                        {DeviceClass::ALL.map(option).collect_view()}
                    </select>
                </div>
                <div class="choice">
                    <input id="online" type="checkbox" name="online" value="1" checked=online data-submits/>
                    <label for="online">{t.explorer.online_only}</label>
                </div>
                {lang.map(|lang| view! { <input type="hidden" name="lang" value=lang/> })}
                <noscript><button type="submit">{t.site.search}</button></noscript>
            </form>
            {if page.rows.is_empty() {
                view! { <EmptyState title=t.explorer.no_devices><p class="actions"><a class="button" href=href(Page::Lend)>{t.site.lend}</a></p></EmptyState> }.into_any()
            } else {
                device_table(page.rows, None).fixed().into_any()
            }}
            <Pager keep=&["class", "online", "limit"] cursor="after" next=page.next/>
            <Downloads page=Page::Devices/>
        }
        .into_any()
    };
    Ok(Document::new(t.site.devices, body).described(t.explorer.devices_description))
}
