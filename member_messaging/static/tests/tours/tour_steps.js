import {rpc} from "@web/core/network/rpc";
import {stepUtils} from "@web_tour/tour_utils";

/** Steps that several tours take. */

export function openApp() {
    return stepUtils.goToAppSteps("member_messaging.member_messaging_menu_root");
}

/** Menus below the app, from the outside in. */
export function openMenu(...names) {
    return names.map((name) => ({
        content: `Open the menu ${name}`,
        trigger: `[data-menu-xmlid='member_messaging.${name}']`,
        run: "click",
    }));
}

export function fill(field, value, scope = "") {
    return {
        content: `${field} is ${value}`,
        trigger: `${scope} .o_field_widget[name=${field}] :is(input, textarea)`,
        run: `edit ${value}`,
    };
}

/** A record, in a many2one. */
export function choose(field, name, scope = "") {
    return [
        {
            content: `Look for ${name}`,
            trigger: `${scope} .o_field_widget[name=${field}] input`,
            run: `edit ${name}`,
        },
        {
            content: `Choose ${name}`,
            trigger: `.o-autocomplete--dropdown-item:not(.o_m2o_dropdown_option):contains('${name}')`,
            run: "click",
        },
    ];
}

/** A value, in a selection. */
export function select(field, label, scope = "") {
    return [
        {
            content: `See what ${field} can be`,
            trigger: `${scope} .o_field_widget[name=${field}] input`,
            run: "click",
        },
        {
            content: `Choose ${label}`,
            trigger: `.o_select_menu_item:contains('${label}')`,
            run: "click",
        },
    ];
}

export function press(name, scope = ".o_form_view") {
    return {
        content: `Press ${name}`,
        trigger: `${scope} button[name=${name}]`,
        run: "click",
    };
}

export function isState(label) {
    return {
        content: `The record is ${label}`,
        trigger: `.o_statusbar_status .o_arrow_button_current:contains('${label}')`,
    };
}

export function launch() {
    return [
        press("action_launch"),
        {
            content: "Confirm",
            trigger:
                ".modal:contains('Launch the campaign?') .modal-footer button:contains('Launch')",
            run: "click",
        },
        isState("Scheduled"),
    ];
}

export function openCampaign(name) {
    return [
        ...openApp(),
        {
            content: "Open the campaign",
            trigger: `.o_kanban_record:contains('${name}')`,
            run: "click",
        },
    ];
}

/** A step of the funnel of a campaign. */
export function stepIs(key, count, rate) {
    return {
        content: `${count} ${key}, ${rate}`,
        trigger:
            `.o_member_funnel button[name=${key}]` +
            `:has(.o_member_funnel_count:contains(/^${count}$/))` +
            `:has(.o_member_funnel_rate:contains(/^${rate}$/))`,
    };
}

function callServer(model, method, args) {
    return rpc(`/web/dataset/call_kw/${model}/${method}`, {
        model,
        method,
        args,
        kwargs: {},
    });
}

/** The scheduler runs what these scheduled actions do. */
export async function runCrons(...codes) {
    for (const code of codes) {
        const ids = await callServer("ir.cron", "search", [[["code", "=", code]]]);
        await callServer("ir.cron", "method_direct_trigger", [ids]);
    }
}
