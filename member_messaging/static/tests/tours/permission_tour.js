import {registry} from "@web/core/registry";
import {stepUtils} from "@web_tour/tour_utils";

function openApp() {
    return stepUtils.goToAppSteps("member_messaging.member_messaging_menu_root");
}

function openCampaign() {
    return [
        ...openApp(),
        {
            content: "Open the campaign",
            trigger: ".o_kanban_record:contains('Tea week')",
            run: "click",
        },
    ];
}

function launch() {
    return [
        {
            content: "Launch",
            trigger: "button[name=action_launch]",
            run: "click",
        },
        {
            content: "Confirm",
            trigger:
                ".modal:contains('Launch the campaign?') .modal-footer button:contains('Launch')",
            run: "click",
        },
    ];
}

registry.category("web_tour.tours").add("member_messaging_approval_own", {
    steps: () => [
        ...openCampaign(),
        {
            content: "Submit",
            trigger: "button[name=action_request_review]",
            run: "click",
        },
        {
            content: "It waits",
            trigger: ".o_arrow_button_current:contains('In Review')",
        },
        {
            content: "The campaign is too big for one person, and says so",
            trigger:
                ".o_field_widget[name=approval_hint]:contains('another manager has to launch it')",
        },
        {
            content: "There is no button that would refuse",
            trigger: ".o_form_statusbar:not(:has(button[name=action_launch]))",
        },
    ],
});

registry.category("web_tour.tours").add("member_messaging_approval_other", {
    steps: () => [
        ...openCampaign(),
        {
            content: "Who has submitted it?",
            trigger: ".o_field_widget[name=submitter_id]:contains('manager')",
        },
        ...launch(),
        {
            content: "Launched",
            trigger: ".o_arrow_button_current:contains('Scheduled')",
        },
        {
            content: "Who has approved it?",
            trigger: ".o_field_widget[name=approver_id]:contains('colleague')",
        },
    ],
});

registry.category("web_tour.tours").add("member_messaging_inbox", {
    steps: () => [
        ...openApp(),
        {
            content: "Open the menu of messages",
            trigger: "[data-menu-xmlid='member_messaging.member_message_root_menu']",
            run: "click",
        },
        {
            content: "Open the inbox",
            trigger: "[data-menu-xmlid='member_messaging.member_inbound_menu']",
            run: "click",
        },
        {
            content: "Only what waits for somebody",
            trigger: ".o_kanban_record:contains('Is the tea still there?')",
        },
        {
            content: "The refusal needs nobody",
            trigger: ".o_kanban_view:not(:contains('Refusal'))",
        },
        {
            content: "Open the question",
            trigger: ".o_kanban_record:contains('Is the tea still there?')",
            run: "click",
        },
        {
            content: "An empty answer is not sent",
            trigger: "button[name=action_answer]",
            run: "click",
        },
        {
            content: "It says what to do",
            trigger: ".modal:contains('Write the answer first')",
        },
        {
            content: "Close",
            trigger: ".modal .modal-footer button",
            run: "click",
        },
        {
            content: "Write",
            trigger: ".o_field_widget[name=answer] textarea",
            run: "edit Yes, come in!",
        },
        {
            content: "Send",
            trigger: "button[name=action_answer]",
            run: "click",
        },
        {
            content: "It says who answered",
            trigger: ".o_field_widget[name=answer_user_id]:contains('staff')",
        },
        {
            content: "It is not sent a second time",
            trigger: ".o_form_statusbar:not(:has(button[name=action_answer]))",
        },
    ],
});
