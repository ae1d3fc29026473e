import {Component, onWillUnmount, useEffect} from "@odoo/owl";
import {registry} from "@web/core/registry";
import {useService} from "@web/core/utils/hooks";
import {standardFieldProps} from "@web/views/fields/standard_field_props";
import {formatInteger, formatPercentage} from "@web/views/fields/formatters";
import {_t} from "@web/core/l10n/translation";

const REFRESH_MS = 3000;
const MOVING_STATES = ["scheduled", "sending"];

/**
 * The steps of a campaign as bars: each a link to the messages behind it. While the
 * campaign moves, the figures are read again every few seconds.
 */
export class MemberFunnel extends Component {
    static template = "member_messaging.MemberFunnel";
    static props = {...standardFieldProps};

    setup() {
        this.action = useService("action");
        useEffect(
            (isMoving) => {
                if (!isMoving) {
                    return;
                }
                const timer = setInterval(() => this.refresh(), REFRESH_MS);
                return () => clearInterval(timer);
            },
            () => [MOVING_STATES.includes(this.props.record.data.state)]
        );
        this.isAlive = true;
        onWillUnmount(() => (this.isAlive = false));
    }

    get steps() {
        const steps = this.props.record.data[this.props.name] || [];
        const widest = Math.max(1, ...steps.map((step) => step.count));
        return steps.map((step) => ({
            ...step,
            width: `${(100 * step.count) / widest}%`,
            text: formatInteger(step.count),
            rate: step.base
                ? formatPercentage(step.count / step.base, {digits: [16, 1]})
                : "",
            hint: _t("%(count)s of %(base)s", {
                count: formatInteger(step.count),
                base: formatInteger(step.base),
            }),
        }));
    }

    async refresh() {
        // Never throw away what somebody is typing.
        if (this.isAlive && !(await this.props.record.isDirty())) {
            await this.props.record.load();
        }
    }

    async open(step) {
        const action = await this.action.loadAction(
            "member_messaging.member_message_action"
        );
        return this.action.doAction({
            ...action,
            display_name: step.label,
            domain: [["campaign_id", "=", this.props.record.resId], ...step.domain],
        });
    }
}

registry.category("fields").add("member_funnel", {
    component: MemberFunnel,
    supportedTypes: ["json"],
});
