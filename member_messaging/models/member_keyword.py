import re

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL, format_date

from ..tools import replies, template
from .member_message import VARIABLE_SQL

#: Variables an answer may use.
VARIABLES = (
    "member_name",
    "tier",
    "points",
    "coupon_status",
    "store",
    "brand",
    "phone",
)
#: Variables that say nothing without a member.
PERSONAL = frozenset({"tier", "points", "coupon_status", "store"})
#: All that the confirmation of a refusal may say: it must not advertise (US-8).
NEUTRAL = frozenset({"member_name", "brand", "phone"})
COUPON_LIMIT = 3


class MemberKeyword(models.Model):
    """A rule for replies: what members write, and what is done about it.

    Refusals come first and hold without any rule: the words the law knows live in
    ``tools/replies.py``. A rule adds words and the confirmation.
    """

    _name = "member.keyword"
    _description = "Reply Rule"
    _order = "sequence, id"

    name = fields.Char(required=True, translate=True)
    active = fields.Boolean(
        default=True,
        help="Refusals take effect even if no rule for them is in use; members then "
        "get no confirmation.",
    )
    sequence = fields.Integer(default=10, help="The first rule that fits is used.")
    company_id = fields.Many2one(
        "res.company", help="Leave empty to use the rule in every company."
    )
    match = fields.Selection(
        [
            ("whole", "Is One of the Words"),
            ("contains", "Contains One of the Words"),
            ("refusal", "Refuses in Whatever Words"),
        ],
        string="The Reply",
        required=True,
        default="whole",
        help="Capitals, blanks, punctuation and full-width letters do not matter.",
    )
    words = fields.Text(help="One per line, in all languages your members write.")
    action = fields.Selection(
        [
            ("unsubscribe", "Stop Promotions"),
            ("resubscribe", "Allow Promotions Again"),
            ("balance", "Tell Points, Tier and Coupons"),
            ("booking", "Have a Booking Followed Up"),
            ("answer", "Answer"),
            ("forward", "Forward to a Colleague"),
            ("help", "Help"),
        ],
        required=True,
        default="answer",
    )
    user_id = fields.Many2one(
        "res.users",
        string="Responsible",
        domain=[("share", "=", False)],
        help="Gets an activity. Empty: who is responsible for the gateway.",
    )
    answer = fields.Text(
        translate=True,
        help="Sent at most once a day to a number. Variables: "
        "{{ member_name ||| member }}, {{ tier }}, {{ points }}, {{ coupon_status }}, "
        "{{ store }}, {{ brand }}, {{ phone }}. Empty: no answer.",
    )

    sample = fields.Char(
        string="Try a Sentence", compute="_compute_sample", readonly=False, store=False
    )
    sample_result = fields.Char(
        string="Rule That Fits", compute="_compute_sample_result"
    )

    # ------------------------------------------------------------------ computed

    def _compute_sample(self):
        self.sample = False

    @api.depends("sample", "words", "match", "action", "sequence", "active", "name")
    def _compute_sample_result(self):
        for rule in self:
            rule.sample_result = rule.sample and rule._try(rule.sample)

    def _try(self, text):
        """:returns: which rule fits a sentence, in words; as if this one were saved"""
        company = self.company_id or self.env.company
        others = self._get_rules(company) - self._origin
        rules = sorted([*others, self], key=lambda rule: rule.sequence)
        found = self._pick([rule for rule in rules if rule.active], text)
        actions = dict(self._fields["action"]._description_selection(self.env))
        if found:
            return self.env._(
                "“%(rule)s” fits: %(action)s.",
                rule=found.name or self.env._("This rule"),
                action=actions[found.action],
            )
        if replies.intent(text) == replies.REFUSE:
            return self.env._("A refusal: promotions stop. No rule confirms it.")
        return self.env._("No rule fits: the reply waits in the inbox.")

    # -------------------------------------------------------------------- checks

    @api.constrains("words", "match", "action", "answer", "user_id")
    def _check_rule(self):
        for rule in self:
            if problem := rule._get_problem():
                raise ValidationError(
                    self.env._(
                        "Rule “%(rule)s” was not saved. %(problem)s",
                        rule=rule.name,
                        problem=problem,
                    )
                )

    def _get_problem(self):
        """:returns: why the rule cannot be used, or None"""
        if self.match != "refusal" and not self._get_words():
            return self.env._("Enter the words, one per line.")
        if self.match == "refusal" and self.action != "unsubscribe":
            return self.env._("Whoever refuses gets no more promotions, nothing else.")
        if self.action == "resubscribe" and self.match != "whole":
            return self.env._(
                "Promotions are allowed again only by a reply that says nothing else: "
                "choose “Is One of the Words”."
            )
        if self.action == "forward" and not self.user_id:
            return self.env._("Choose the colleague to forward to.")
        if self.action in ("answer", "balance", "help") and not self.answer:
            return self.env._("Write the answer.")
        return self._get_answer_problem()

    def _get_answer_problem(self):
        if problems := template.check(self.answer or "", VARIABLES):
            return self.env._(
                "“%(fragment)s” is no variable. Known are: %(variables)s.",
                fragment=problems[0].fragment,
                variables=", ".join(VARIABLES),
            )
        names = {found.name for found in template.find_variables(self.answer or "")}
        if self.action == "unsubscribe" and (
            names - NEUTRAL or re.search(r"https?:|www\.", self.answer or "")
        ):
            return self.env._(
                "The confirmation of a refusal must not advertise: no links, and no "
                "variables but %s.",
                ", ".join(sorted(NEUTRAL)),
            )
        return None

    # ------------------------------------------------------------------ matching

    def _get_words(self):
        """:rtype: list[str]"""
        return [
            line.strip() for line in (self.words or "").splitlines() if line.strip()
        ]

    @api.model
    def _get_rules(self, company):
        """:returns: rules in use in a company, in order"""
        # sudo: replies are understood whoever receives them
        return self.sudo().search([("company_id", "in", (False, company.id))])

    @api.model
    def _pick(self, rules, text):
        """:returns: the first of the rules that fits a reply, or none. Only a rule that
        stops promotions fits a refusal: no other may keep it from having effect.
        """
        refuses = replies.intent(text) == replies.REFUSE
        for rule in sorted(rules, key=lambda rule: rule.action != "unsubscribe"):
            if refuses and rule.action != "unsubscribe":
                break
            if replies.matches(rule._get_words(), rule.match, text):
                return rule
        return self.browse()

    # ------------------------------------------------------------------- answers

    @api.model
    def _render_answers(self, inbound):
        """:param inbound: replies with a rule that has an answer
        :returns: reply → text, in the member's language. A text about the member is
            left out where there is no member.
        :rtype: dict
        """
        texts = {}
        for reply in inbound:
            reply_lang = reply._get_lang()
            # sudo: whoever lets an answer leave need not read the rules
            rule = reply.keyword_id.sudo().with_context(lang=reply_lang)
            # a translation may hold a mistake no check has seen: better no answer
            if not rule.answer or template.check(rule.answer, VARIABLES):
                continue
            compiled = template.compile(rule.answer, VARIABLES)
            if not compiled.names & PERSONAL or reply.profile_id:
                texts.setdefault((reply_lang, compiled.names), []).append(
                    (reply, compiled)
                )
        rendered = {}
        for (lang, names), group in texts.items():
            profiles = self.env["member.profile"].browse(
                {reply.profile_id.id for reply, _text in group} - {False}
            )
            values = self._fetch_values(profiles, names, lang)
            for reply, compiled in group:
                gateway = reply.gateway_id
                brand = gateway.signature or gateway.company_id.name
                shared = {"brand": brand, "phone": gateway.company_id.phone}
                text = compiled.render(values.get(reply.profile_id.id, {}) | shared)
                rendered[reply] = text
        return rendered

    @api.model
    def _fetch_values(self, profiles, names, lang):
        """:returns: profile id → personal values; statements do not depend on how many
        members there are
        :rtype: dict[int, dict]
        """
        wanted = [name for name in VARIABLE_SQL if name in names]
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                SELECT p.id, p.partner_id%s
                  FROM member_profile p
                  JOIN res_partner pa ON pa.id = p.partner_id
                 CROSS JOIN (SELECT %s::varchar AS code) lang
                 -- what the variables of a message ask it for
                 CROSS JOIN LATERAL (SELECT p.partner_id) m
                 WHERE p.id = ANY(%s)
                """,
                SQL("").join(
                    SQL(
                        ", %s AS %s",
                        SQL(VARIABLE_SQL[name].replace("%", "%%")),
                        SQL.identifier(name),
                    )
                    for name in wanted
                ),
                lang,
                profiles.ids,
            )
        )
        rows = {row["id"]: row for row in self.env.cr.dictfetchall()}
        if "coupon_status" in names:
            coupons = self._describe_coupons(profiles.partner_id, lang)
            for row in rows.values():
                row["coupon_status"] = coupons[row["partner_id"]]
        return rows

    @api.model
    def _describe_coupons(self, partners, lang):
        """:returns: partner id → the coupons they can use now, in words"""
        cards = (
            self.env["loyalty.card"]
            # sudo: what belongs to the member who asks
            .sudo()
            .search(
                [
                    ("partner_id", "in", partners.ids),
                    ("program_type", "=", "coupons"),
                    ("points", ">", 0),
                ],
                order="expiration_date, id",
            )
        )
        today = fields.Date.context_today(self)
        cards = cards.filtered(
            lambda card: not card.expiration_date or card.expiration_date >= today
        ).grouped("partner_id")
        speaking = self.with_context(lang=lang)
        return {
            partner.id: speaking._describe_cards(cards.get(partner, ()))
            for partner in partners
        }

    def _describe_cards(self, cards):
        if not cards:
            return self.env._("none")
        pieces = [
            self.env._(
                "%(code)s until %(date)s",
                code=card.code,
                date=format_date(self.env, card.expiration_date),
            )
            if card.expiration_date
            else card.code
            for card in cards[:COUPON_LIMIT]
        ]
        if len(cards) > COUPON_LIMIT:
            pieces.append(self.env._("%s more", len(cards) - COUPON_LIMIT))
        return ", ".join(pieces)


class MemberKeywordAnswer(models.Model):
    """One automatic answer: a number gets the answer of a rule once a day."""

    _name = "member.keyword.answer"
    _description = "Automatic Answer"
    _order = "id desc"
    _rec_name = "body"

    keyword_id = fields.Many2one("member.keyword", required=True, ondelete="cascade")
    inbound_id = fields.Many2one(
        "member.inbound", required=True, ondelete="cascade", index=True
    )
    company_id = fields.Many2one(related="inbound_id.company_id")
    address = fields.Char(string="Number", required=True)
    day = fields.Date(required=True)
    body = fields.Text(string="Text", required=True)

    _day_uniq = models.Constraint(
        "UNIQUE (keyword_id, address, day)", "A rule answers a number once a day."
    )

    @api.model
    def _reserve(self, texts):
        """Note answers that have not been given today.

        :param dict texts: ``member.inbound`` → text
        :returns: the replies to answer now; of two senders only one gets each
        """
        if not texts:
            return self.env["member.inbound"]
        rows = self.env.execute_query(
            SQL(
                """
                INSERT INTO member_keyword_answer (keyword_id, inbound_id, address, day,
                       body, create_uid, write_uid, create_date, write_date)
                SELECT a.*, %(uid)s, %(uid)s, %(now)s, %(now)s
                  FROM unnest(%(keywords)s::int[], %(replies)s::int[],
                              %(addresses)s::varchar[], %(days)s::date[],
                              %(bodies)s::varchar[]) AS a
           ON CONFLICT DO NOTHING
             RETURNING inbound_id
                """,
                uid=self.env.uid,
                now=fields.Datetime.now(),
                keywords=[reply.keyword_id.id for reply in texts],
                replies=[reply.id for reply in texts],
                addresses=[reply.address for reply in texts],
                days=[reply.gateway_id._get_today() for reply in texts],
                bodies=list(texts.values()),
            )
        )
        return self.env["member.inbound"].browse(row[0] for row in rows)
