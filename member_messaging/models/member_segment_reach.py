from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from .member_consent import CHANNELS

#: Purpose of a message → a category that stands for it.
PURPOSES = {"promotion": "promotion", "service": "notice"}
#: The way from the selected to the reachable: step → reasons members are lost for
#: there. Together they are all the reasons of a decision, in its order.
STEPS = {
    "selected": (),
    "address": ("no_address", "invalid_address"),
    "allowed": ("bad_number", "blocked", "suppressed"),
    "consent": ("refused", "no_consent"),
    "single": ("duplicate_address",),
    "fresh": ("frequency_cap",),
    "reachable": ("holdout",),
}


class MemberSegmentReach(models.Model):
    """Who of a segment can be reached, and why not the others."""

    _inherit = "member.segment"

    def get_reach(self, purpose="promotion"):
        """Count, per channel, who is lost on the way from selected to reachable.

        :param str purpose: ``promotion`` or ``service``
        :returns: per channel: ``channel``, ``label``, ``selected``, ``reachable`` and
            ``steps``; a step has ``key``, ``label``, ``count`` (members who come so
            far), ``reach`` (the value of ``member_reach`` that finds them) and
            ``losses``: ``key``, ``label``, ``count``, ``reach``
        :rtype: list[dict]
        """
        self.ensure_one()
        self.check_access("read")
        return [
            self._prepare_reach(channel, label, purpose)
            for channel, label in self.env["member.consent"]
            ._fields["channel"]
            ._description_selection(self.env)
        ]

    def _prepare_reach(self, channel, label, purpose):
        messages = self.env["member.message"]
        counts = messages._count_reach(self._get_reach_sql(channel, purpose))
        prefix = f"segment/{self.id}/{channel}/{purpose}"
        reasons = dict(messages._fields["reason"]._description_selection(self.env))
        selected = left = sum(counts.values())
        steps = []
        for key, step_label in self._get_step_labels(channel, purpose).items():
            losses = [
                {
                    "key": reason,
                    "label": reasons[reason],
                    "count": counts[reason],
                    "reach": f"{prefix}/{reason}",
                }
                for reason in STEPS[key]
                if counts.get(reason)
            ]
            left -= sum(loss["count"] for loss in losses)
            steps.append(
                {
                    "key": key,
                    "label": step_label,
                    "count": left,
                    "reach": f"{prefix}/{key}",
                    "losses": losses,
                }
            )
        return {
            "channel": channel,
            "label": label,
            "selected": selected,
            "reachable": left,
            "steps": steps,
        }

    def _get_step_labels(self, channel, purpose):
        labels = {
            "selected": self.env._("Selected"),
            "address": (
                self.env._("Have a valid number")
                if channel == "sms"
                else self.env._("Have an address")
            ),
            "allowed": self.env._("Not blocked or out of reach"),
            "consent": (
                self.env._("Agreed to promotions")
                if purpose == "promotion"
                else self.env._("Did not refuse")
            ),
            "single": self.env._("Once per number"),
            "fresh": self.env._("Not over the limit of promotions"),
            "reachable": self.env._("Can be reached"),
        }
        if purpose == "service":
            del labels["fresh"]  # the limit is for promotions
        return labels

    def _get_reach_sql(self, channel, purpose):
        """:returns: the decision, see ``member.message``, for a message of this
        purpose to the segment now
        """
        if (channel, purpose) not in {
            (known, purpose) for known, _label in CHANNELS for purpose in PURPOSES
        }:
            raise UserError(self.env._("There are no messages of this kind."))
        return self.env["member.message"]._get_decision_sql(
            self._get_partner_domain(), self.company_id, channel, PURPOSES[purpose]
        )


class MemberProfileReach(models.Model):
    _inherit = "member.profile"

    # Only ever searched for. The list behind a figure of a million members is asked
    # for by name: their ids never travel to the browser and back.
    member_reach = fields.Char(
        string="Reach",
        compute="_compute_member_reach",
        search="_search_member_reach",
        help="Finds the members behind a figure of a segment's or campaign's reach.",
    )

    def _compute_member_reach(self):
        self.member_reach = False

    def _search_member_reach(self, operator, value):
        """Find members by what would become of a message to them now.

        A value reads ``segment/ID/CHANNEL/PURPOSE/KEY`` or ``campaign/ID/KEY``. The
        key is a step (those who come so far), a reason (those lost for it) or
        ``lost``.
        """
        if operator != "in":
            return NotImplemented
        self.env.flush_all()
        return Domain.OR(self._get_reach_domain(figure) for figure in value)

    def _get_reach_domain(self, figure):
        decision, condition = self._read_figure(figure)

        def to_sql(_model, alias, _query):
            return SQL(
                "%s IN (SELECT d.profile_id FROM (%s) d WHERE %s)",
                SQL.identifier(alias, "id"),
                decision,
                condition,
            )

        return Domain.custom(to_sql=to_sql)

    def _read_figure(self, figure):
        """:returns: SQL of the decision, and condition on its rows ``d``
        :raises UserError: there is no such figure, or no longer
        """
        kind, _slash, rest = str(figure).partition("/")
        try:
            if kind == "segment":
                record_id, channel, purpose, key = rest.split("/")
                segment = self._get_owner("member.segment", record_id)
                decision = segment._get_reach_sql(channel, purpose)
            elif kind == "campaign":
                record_id, key = rest.split("/")
                campaign = self._get_owner("member.campaign", record_id)
                decision = self.env["member.message"]._get_campaign_decision_sql(
                    campaign
                )
            else:
                raise ValueError(figure)
            return decision, self._get_figure_condition(key)
        except ValueError as error:
            raise UserError(
                self.env._(
                    "This list of members does not exist any more. Open it again from "
                    "its segment or campaign."
                )
            ) from error

    def _get_owner(self, model, record_id):
        owner = self.env[model].browse(int(record_id)).exists()
        if not owner:
            raise ValueError(record_id)
        owner.check_access("read")
        return owner

    @api.model
    def _get_figure_condition(self, key):
        if key == "lost":
            return SQL("d.reason IS NOT NULL")
        if key in STEPS:
            keys = list(STEPS)
            passed = keys[: keys.index(key) + 1]
            lost = [reason for step in passed for reason in STEPS[step]]
            return SQL("d.reason IS NULL OR NOT d.reason = ANY(%s::varchar[])", lost)
        if any(key in reasons for reasons in STEPS.values()):
            return SQL("d.reason = %s", key)
        raise ValueError(key)
