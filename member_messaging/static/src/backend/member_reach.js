import {Component, onWillStart, useState} from "@odoo/owl";
import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";
import {KeepLast} from "@web/core/utils/concurrency";
import {useService} from "@web/core/utils/hooks";
import {useRecordObserver} from "@web/model/relational_model/utils";
import {standardFieldProps} from "@web/views/fields/standard_field_props";
import {formatInteger, formatPercentage} from "@web/views/fields/formatters";
import {standardWidgetProps} from "@web/views/widgets/standard_widget_props";

/** Opens the members behind a figure, which the server finds again by its name. */
export function useMemberList() {
    const actionService = useService("action");
    return async (title, figure) => {
        const action = await actionService.loadAction(
            "member_messaging.member_profile_action"
        );
        return actionService.doAction({
            ...action,
            display_name: title,
            domain: [["member_reach", "=", figure]],
            context: {},
        });
    };
}

/**
 * Who of a segment can be reached, per channel: a bar per step, and under it whom the
 * step loses. Every number is a link to its members. The figures are counted when the
 * form stands, so that a big segment opens at once.
 */
export class MemberReach extends Component {
    static template = "member_messaging.MemberReach";
    static props = {...standardWidgetProps};

    setup() {
        this.orm = useService("orm");
        this.openMembers = useMemberList();
        this.keepLast = new KeepLast();
        this.state = useState({purpose: "promotion", channels: null, failed: false});
        this.purposes = [
            ["promotion", _t("Promotions")],
            ["service", _t("Service Messages")],
        ];
        onWillStart(() => {
            // Not awaited: the form need not wait for it.
            this.load();
        });
        // After saving, the record comes with new values.
        let saved = this.signature(this.props.record);
        useRecordObserver((record) => {
            const signature = this.signature(record);
            if (!record.dirty && signature !== saved) {
                saved = signature;
                this.load(record);
            }
        });
    }

    signature(record) {
        const {domain, include_ids, exclude_ids} = record.data;
        return JSON.stringify([
            record.resId,
            domain,
            include_ids.currentIds,
            exclude_ids.currentIds,
        ]);
    }

    get isSaved() {
        return Boolean(this.props.record.resId) && !this.props.record.dirty;
    }

    async load(record = this.props.record) {
        this.state.channels = null;
        this.state.failed = false;
        if (!record.resId || record.data.error) {
            return;
        }
        try {
            this.state.channels = await this.keepLast.add(
                this.orm.silent
                    .call("member.segment", "get_reach", [
                        [record.resId],
                        this.state.purpose,
                    ])
                    .then((channels) => channels.map((c) => this.prepare(c)))
            );
        } catch (error) {
            this.state.failed = true;
            if (!error.data) {
                throw error;
            }
        }
    }

    prepare(channel) {
        const widest = Math.max(1, channel.selected);
        const rate = channel.selected ? channel.reachable / channel.selected : 0;
        return {
            ...channel,
            summary: _t(
                "%(reachable)s of %(selected)s can be reached by %(channel)s.",
                {
                    reachable: formatInteger(channel.reachable),
                    selected: formatInteger(channel.selected),
                    channel: channel.label,
                }
            ),
            steps: channel.steps.map((step) => ({
                ...step,
                width: `${(100 * step.count) / widest}%`,
                text: formatInteger(step.count),
                rate: formatPercentage(step.count / widest, {digits: [16, 1]}),
                losses: step.losses.map((loss) => ({
                    ...loss,
                    text: formatInteger(loss.count),
                })),
            })),
            rate: formatPercentage(rate, {digits: [16, 1]}),
        };
    }

    setPurpose(purpose) {
        this.state.purpose = purpose;
        return this.load();
    }
}

registry.category("view_widgets").add("member_reach", {
    component: MemberReach,
    fieldDependencies: [
        {name: "domain", type: "char"},
        {name: "error", type: "text"},
    ],
});

/**
 * The forecast of a campaign: what it reaches and costs as text, then the reasons why
 * the others are left out, each a link to those members.
 */
export class MemberForecast extends Component {
    static template = "member_messaging.MemberForecast";
    static props = {...standardFieldProps};

    setup() {
        this.openMembers = useMemberList();
    }

    get losses() {
        return this.props.record.data.forecast_losses || [];
    }

    get lines() {
        const lines = (this.props.record.data[this.props.name] || "").split("\n");
        return lines.slice(0, lines.length - this.losses.length);
    }

    async open(loss) {
        const {record} = this.props;
        // The server looks at what is stored.
        if (await record.save()) {
            await this.openMembers(loss.label, `campaign/${record.resId}/${loss.key}`);
        }
    }
}

registry.category("fields").add("member_forecast", {
    component: MemberForecast,
    supportedTypes: ["text"],
    fieldDependencies: [{name: "forecast_losses", type: "json"}],
});
