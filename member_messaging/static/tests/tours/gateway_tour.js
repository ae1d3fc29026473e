import {
    choose,
    fill,
    isState,
    launch,
    openApp,
    openCampaign,
    openMenu,
    press,
    runCrons,
    select,
    stepIs,
} from "./tour_steps";
import {cookie} from "@web/core/browser/cookie";
import {registry} from "@web/core/registry";

/** The first ten minutes of a shop with its provider, from the account to the first
 * refusal. The provider is a simulator on this computer, whose address the test passes
 * as a cookie; shops leave that field empty. */

const DIALOG = ".modal";

function openConfiguration(name) {
    return [...openApp(), ...openMenu("member_configuration_menu", name)];
}

function openGateway(name) {
    return [
        ...openConfiguration("member_gateway_menu"),
        {
            content: "Open the gateway",
            trigger: `.o_data_row:contains('${name}') .o_data_cell[name=name]`,
            run: "click",
        },
    ];
}

function createGateway(name, provider) {
    return [
        ...openConfiguration("member_gateway_menu"),
        {
            content: "Create a gateway",
            trigger: ".o_list_button_add",
            run: "click",
        },
        fill("name", name),
        ...select("provider", provider),
        {
            content: "Enter the address of the simulator",
            trigger: ".o_field_widget[name=endpoint] input",
            run: ({edit}) => edit(cookie.get("endpoint")),
        },
    ];
}

/** The keys fit, and nothing has been sent yet. */
function testConnection() {
    return [
        press("action_probe"),
        {
            content: "The provider knows the account",
            trigger: ".o_notification:contains('accepts the account')",
        },
        {
            content: "The form says so as well",
            trigger: ".o_field_widget[name=probe_state]:contains('Accepted')",
        },
    ];
}

function testSms(name, ...message) {
    return [
        {
            content: "Send a test SMS",
            trigger: ".o_form_view button:contains('Send Test SMS to Me')",
            run: "click",
        },
        fill("number", "+86 138 0013 8000", DIALOG),
        ...message,
        press("action_send", DIALOG),
        {
            content: "It waits for the scheduler, which runs",
            trigger: `${DIALOG} .o_field_widget[name=state]:contains('Waiting')`,
            run: () => runCrons("model._cron_send(1)"),
        },
        press("action_refresh", DIALOG),
        {
            content: "It has left",
            trigger: `${DIALOG} .o_field_widget[name=outcome]:contains('${name} has accepted it')`,
        },
        {
            content: "Close",
            trigger: `${DIALOG} .modal-footer button:contains('Close')`,
            run: "click",
        },
    ];
}

function activate() {
    return [
        press("action_activate"),
        isState("In Use"),
        {
            content: "The light is green",
            trigger: ".o_field_widget[name=light]:contains('Works')",
        },
    ];
}

function createTemplate(body) {
    return [
        ...openConfiguration("member_template_menu"),
        {
            content: "Create a template",
            trigger: ".o_list_button_add",
            run: "click",
        },
        fill("name", "First offer"),
        fill("body", body),
        {
            content: "Save",
            trigger: ".o_form_button_save",
            run: "click",
        },
        {
            content: "It is saved",
            trigger: ".o_form_saved",
        },
    ];
}

function createCampaign(gateway) {
    return [
        ...openApp(),
        {
            content: "Create a campaign",
            trigger: ".o-kanban-button-new",
            run: "click",
        },
        fill("name", "First campaign"),
        ...choose("segment_ids", "Tea lovers"),
        ...choose("template_id", "First offer"),
        ...choose("gateway_id", gateway),
        {
            content: "See who will get it",
            trigger:
                ".o_field_widget[name=forecast]:contains('3 of 3 members will get it.')",
        },
        press("action_request_review"),
        isState("In Review"),
        ...launch(),
    ];
}

/** Three got it, one of whom does not want more. */
function judge(gateway) {
    return [
        ...openCampaign("First campaign"),
        isState("Done"),
        stepIs("sent", 3, "100%"),
        stepIs("delivered", 3, "100%"),
        ...openMenu("member_message_root_menu", "member_inbound_menu"),
        {
            content: "Nothing is left to do: refusals take effect by themselves",
            trigger: ".o_view_nocontent:contains('No replies to work on')",
        },
        {
            content: "Show what is done as well",
            trigger: ".o_searchview .o_facet_remove",
            run: "click",
        },
        {
            content: "Somebody has answered, who is not to be written to again",
            trigger:
                ".o_kanban_record:contains('Amy'):contains('TD'):contains('Refusal')",
        },
        ...openMenu("member_menu", "member_consent_menu"),
        {
            content: "That is on record, in the member's own word",
            trigger:
                ".o_data_row:contains('Amy'):contains('Refused'):contains('Reply'):contains('TD')",
        },
        {
            content: "Open the recap",
            trigger: "[data-menu-xmlid='member_messaging.member_message_report_menu']",
            run: "click",
        },
        {
            content: "The campaign is in it",
            trigger: ".o_pivot:contains('First campaign')",
        },
        ...openGateway(gateway),
        {
            content: "The gateway is set up",
            trigger:
                ".o_form_view:has(.o_field_widget[name=light]:contains('Works')):not(:contains('Before members get anything'))",
        },
    ];
}

function add(name, steps) {
    registry
        .category("web_tour.tours")
        .add(`member_messaging_gateway_${name}`, {steps: () => steps});
}

// ------------------------------------------------------------------ Alibaba Cloud

function approve(field) {
    const row = `.o_field_widget[name=${field}] .o_data_row`;
    return [
        {
            content: "The console says it is approved",
            trigger: `${row} .o_data_cell[name=state]`,
            run: "click",
        },
        ...select("state", "Approved", row),
    ];
}

function register() {
    const row = ".o_field_widget[name=registration_ids] .o_selected_row";
    return [
        ...openGateway("Aliyun"),
        {
            content: "A signature that is approved already",
            trigger:
                ".o_field_widget[name=signature_ids] .o_data_row:contains('云会员')",
        },
        ...approve("signature_ids"),
        {
            content: "Register a text",
            trigger:
                ".o_field_widget[name=registration_ids] .o_field_x2many_list_row_add a",
            run: "click",
        },
        ...choose("template_id", "First offer", row),
        fill("code", "SMS_123456789", row),
        fill("parameters", "name=member_name", row),
        ...select("state", "Approved", row),
        {
            content: "Save",
            trigger: ".o_form_button_save",
            run: "click",
        },
        {
            content: "It is saved",
            trigger: ".o_form_saved",
        },
    ];
}

add("aliyun_setup", [
    ...createGateway("Aliyun", "Alibaba Cloud SMS"),
    fill("api_key", "LTAIEXAMPLEKEYID"),
    fill("api_secret", "exampleSecret123"),
    fill("signature", "云会员"),
    fill("optout_text", "拒收请回复R"),
    ...testConnection(),
    ...createTemplate("尊敬的{{ member_name ||| 会员 }}，新茶上市。"),
    ...register(),
    ...testSms("Aliyun", ...choose("registration_id", "SMS_123456789", DIALOG), {
        content: "It has a value for each parameter",
        trigger: `${DIALOG} .o_field_widget[name=value_ids] .o_data_row:contains('name')`,
    }),
    ...activate(),
]);

add("aliyun_campaign", createCampaign("Aliyun"));
add("aliyun_recap", judge("Aliyun"));

// ------------------------------------------------------------------------- Twilio

add("twilio_setup", [
    ...createGateway("Twilio", "Twilio"),
    fill("api_key", "AC0123456789abcdef0123456789abcdef"),
    fill("api_secret", "auth-token-of-the-simulator"),
    fill("twilio_messaging_service", "MG0123456789abcdef0123456789abcdef"),
    fill("optout_text", "Reply STOP to stop."),
    ...testConnection(),
    ...testSms("Twilio"),
    ...activate(),
    ...createTemplate("Dear {{ member_name ||| member }}, the new tea is here."),
]);

add("twilio_campaign", createCampaign("Twilio"));
add("twilio_recap", judge("Twilio"));
