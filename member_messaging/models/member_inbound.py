from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL, plaintext2html

from ..tools import replies

#: What a rule's action says about the member's wish.
MEANINGS = {"unsubscribe": "refuse", "resubscribe": "subscribe", "help": "help"}


class MemberInbound(models.Model):
    _name = "member.inbound"
    _description = "Reply"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "date desc, id desc"
    _rec_name = "text"

    gateway_id = fields.Many2one("member.gateway", required=True, ondelete="cascade")
    company_id = fields.Many2one(related="gateway_id.company_id", store=True)
    message_id = fields.Many2one(
        "member.message",
        string="In Answer To",
        ondelete="set null",
        index="btree_not_null",
    )
    message_body = fields.Text(related="message_id.body", string="We Had Written")
    profile_id = fields.Many2one(
        "member.profile",
        string="Member",
        ondelete="set null",
        index="btree_not_null",
    )
    partner_id = fields.Many2one(related="profile_id.partner_id", string="Contact")
    address = fields.Char(string="From", required=True)
    text = fields.Text(required=True)
    date = fields.Datetime(string="Received", required=True)
    intent = fields.Selection(
        [("refuse", "Refusal"), ("help", "Help"), ("subscribe", "Subscription")],
        string="Understood As",
    )
    keyword_id = fields.Many2one(
        "member.keyword", string="Reply Rule", ondelete="set null", readonly=True
    )
    is_complaint = fields.Boolean(
        string="Sounds Like a Complaint",
        readonly=True,
        help="The words are those of somebody who complains, or is about to.",
    )
    is_handled = fields.Boolean(string="Handled")
    answer = fields.Text(help="What you write back. It leaves as a service message.")
    answer_date = fields.Datetime(string="Answered", readonly=True)
    answer_user_id = fields.Many2one("res.users", string="Answered By", readonly=True)
    answer_message_id = fields.Many2one(
        "member.service.message",
        ondelete="set null",
        readonly=True,
        index="btree_not_null",
    )
    answer_outcome = fields.Char(
        related="answer_message_id.outcome", string="What Became of It"
    )
    auto_answer_ids = fields.One2many(
        "member.keyword.answer", "inbound_id", string="Automatic Answer", readonly=True
    )
    provider_event_ref = fields.Char(required=True)

    _ref_uniq = models.Constraint(
        "UNIQUE (gateway_id, provider_event_ref)", "A reply is stored once."
    )

    # ---------------------------------------------------------------- receiving

    @api.model
    def _receive(self, gateway, inbound):
        """Store replies and act on them at once; a reply told twice is stored once.

        :param inbound: list of ``gateways.types.InboundMessage``
        """
        added = self._insert(gateway, inbound)
        if not added:
            return
        refused = added._refuse(gateway)
        granted = added._resubscribe(gateway)
        added._record_events()
        changed = refused | granted
        added._answer_by_rule(
            added.filtered(
                lambda reply: (
                    reply.profile_id in changed
                    if reply.keyword_id.action in ("unsubscribe", "resubscribe")
                    else reply.keyword_id
                )
            )
        )
        added._assign()

    def _refuse(self, gateway):
        """:returns: members who have refused promotions just now"""
        refusing = self.filtered(lambda reply: reply.intent == "refuse")
        if not refusing:
            return refusing.profile_id
        profiles = self._find_profiles(refusing.mapped("address"))
        by_address = profiles.grouped(
            lambda profile: profile.partner_id.phone_sanitized
        )
        evidence = {}
        for reply in refusing:
            # A refusal counts for everybody who uses the number.
            for profile in reply.profile_id | by_address.get(
                reply.address, profiles.browse()
            ):
                evidence.setdefault(profile, reply.text)
        consents = self.env["member.consent"]
        return consents._refuse_each(evidence, gateway.channel, "reply").profile_id

    def _resubscribe(self, gateway):
        """Who refused and now says so in clear words gets promotions again. Only the
        member who replied: others with the number have not asked for it.

        :returns: those members
        """
        # the last word counts
        last = {
            reply.profile_id: reply
            for reply in self
            if reply.profile_id and reply.intent in ("refuse", "subscribe")
        }
        wanting = {
            profile: reply
            for profile, reply in last.items()
            if reply.keyword_id.action == "resubscribe"
        }
        consents = self.env["member.consent"]
        refused = consents.search(
            [
                ("profile_id", "in", [profile.id for profile in wanting]),
                ("channel", "=", gateway.channel),
                ("purpose", "=", "promotion"),
                ("state", "=", "refused"),
                ("is_current", "=", True),
            ]
        ).profile_id
        return consents.create(
            [
                {
                    "profile_id": profile.id,
                    "channel": gateway.channel,
                    "purpose": "promotion",
                    "state": "granted",
                    "source": "reply",
                    "evidence": wanting[profile].text,
                }
                for profile in refused
            ]
        ).profile_id

    def _record_events(self):
        facts = [
            {
                "message_id": reply.message_id.id,
                "type": event_type,
                "date": reply.date,
                "ref": reply.provider_event_ref,
            }
            for reply in self
            if reply.message_id
            for event_type in ("replied", "unsubscribed")
            if event_type == "replied" or reply.intent == "refuse"
        ]
        self.env["member.event"]._record(facts)

    @api.model
    def _answer_by_rule(self, inbound):
        """Give the answers of rules, each once a day to a number; such replies need
        nobody any more, unless somebody is to follow them up.
        """
        free = inbound._filter_writable()
        texts = {
            reply: text
            for reply, text in self.env["member.keyword"]._render_answers(free).items()
            if reply._prepare_message(text)
        }
        self.env["member.keyword.answer"]._reserve(texts)._dispatch(texts)
        # also those who asked twice a day: they have their answer
        self.browse(
            reply.id
            for reply in texts
            if reply.keyword_id.action not in ("booking", "forward")
            and not reply.is_complaint
        ).is_handled = True

    def _assign(self):
        """Give follow-ups and forwarded replies to somebody."""
        for reply in self:
            rule = reply.keyword_id
            if rule.action not in ("booking", "forward"):
                continue
            user = rule.user_id or reply.gateway_id.user_id
            if not user.active or not reply.with_user(user).has_access("read"):
                # it waits in the inbox for everybody
                continue
            reply.activity_schedule(
                "mail.mail_activity_data_todo",
                summary=rule.with_context(lang=user.lang).name,
                note=plaintext2html(reply.text),
                user_id=user.id,
            )

    # ---------------------------------------------------------------- answering

    def _filter_writable(self):
        """:returns: replies whose sender may be written to: no block list, no refusal
        of service messages either
        """
        # sudo: block lists are closed to most
        listed = set(
            self.env["phone.blacklist"]
            .sudo()
            .search([("number", "in", self.mapped("address"))])
            .mapped("number")
        )
        refusing = (
            self.env["member.consent"]
            .search(
                [
                    ("profile_id", "in", self.profile_id.ids),
                    ("purpose", "=", "service"),
                    ("state", "=", "refused"),
                    ("is_current", "=", True),
                ]
            )
            .profile_id
        )
        return self.filtered(
            lambda reply: (
                reply.address not in listed and reply.profile_id not in refusing
            )
        )

    def _get_lang(self):
        """:returns: the language to write to the sender in"""
        self.ensure_one()
        company = self.gateway_id.company_id.partner_id
        return self.partner_id.lang or company.lang or self.env.lang or "en_US"

    def _prepare_message(self, text):
        """:returns: what the outbox takes for an answer; None if the provider sends
            registered texts only and none reads like this one
        :rtype: dict | None
        """
        gateway = self.gateway_id
        message = {"address": self.address, "body": text}
        if gateway._needs_registration():
            found = gateway.registration_ids._match(text)
            return found and {
                **message,
                "template_code": found[0],
                "params": found[1],
            }
        if gateway.signature:
            message["body"] = f"【{gateway.signature}】{text}"
        return message

    def _dispatch(self, texts):
        """Hand answers to the outbox, through the accounts the replies came by.

        :param dict texts: reply → text that :meth:`_prepare_message` accepts
        :returns: the messages
        """
        # sudo: nobody writes the outbox by hand
        outbox_sudo = self.env["member.service.message"].sudo()
        messages = outbox_sudo
        for gateway, group in self.grouped("gateway_id").items():
            messages += outbox_sudo._enqueue(
                gateway,
                "answer",
                [reply._prepare_message(texts[reply]) for reply in group],
            )
        return messages

    def action_answer(self):
        """Send what staff wrote, once however often the button is pressed."""
        self.ensure_one()
        # serialises two presses at the same time; the second one then sees the first
        self.lock_for_update()
        if self.answer_date:
            return
        if not (self.answer or "").strip():
            raise UserError(self.env._("Write the answer first, then send it."))
        if not self._filter_writable():
            raise UserError(
                self.env._(
                    "%s is on the block list or refuses service messages as well: "
                    "nothing was sent. Call instead, or mark the reply as done.",
                    self.address,
                )
            )
        text = self.answer.strip()
        if not self._prepare_message(text):
            raise UserError(
                self.env._(
                    "%s sends registered texts only, and none reads like this answer: "
                    "nothing was sent, your text is kept. Call instead, or have the "
                    "text registered.",
                    self.gateway_id.name,
                )
            )
        self.write(
            {
                "answer_message_id": self._dispatch({self: text}).id,
                "answer_date": fields.Datetime.now(),
                "answer_user_id": self.env.user.id,
            }
        )
        self.action_handled()

    # ------------------------------------------------------------------ storing

    def _insert(self, gateway, inbound):
        """Store replies that are new.

        The last message that went to a number is the one a reply answers; its member
        has replied, or else the newest one with the number.

        :returns: the new replies
        """
        now = fields.Datetime.now()
        keywords = self.env["member.keyword"]
        rules = keywords._get_rules(gateway.company_id)
        found = [keywords._pick(rules, reply.text) for reply in inbound]
        intents = [
            MEANINGS.get(rule.action) or replies.intent(reply.text)
            for rule, reply in zip(found, inbound, strict=True)
        ]
        complaints = [replies.complains(reply.text) for reply in inbound]
        rows = self.env.execute_query(
            SQL(
                """
                INSERT INTO member_inbound (
                       gateway_id, company_id, message_id, profile_id, address, text,
                       date, intent, keyword_id, is_complaint, is_handled,
                       provider_event_ref, create_uid, write_uid, create_date,
                       write_date)
                SELECT %(gateway)s, %(company)s, m.id, COALESCE(m.profile_id, p.id),
                       r.address, r.text, r.date, r.intent, r.keyword, r.complaint,
                       COALESCE(r.intent = 'refuse', FALSE) AND NOT r.complaint, r.ref,
                       %(uid)s, %(uid)s, %(now)s, %(now)s
                  FROM unnest(%(addresses)s::varchar[], %(texts)s::varchar[],
                              %(dates)s::timestamp[], %(intents)s::varchar[],
                              %(keywords)s::int[], %(complaints)s::bool[],
                              %(refs)s::varchar[])
                       WITH ORDINALITY
                       AS r (address, text, date, intent, keyword, complaint, ref,
                             position)
                  LEFT JOIN LATERAL (
                       SELECT id, profile_id FROM member_message
                        WHERE address = r.address AND company_id = %(company)s
                          AND state IN ('sent', 'delivered', 'uncertain')
                          AND claimed_date IS NOT NULL
                     ORDER BY sent_date DESC, id DESC LIMIT 1) m ON TRUE
                  LEFT JOIN LATERAL (
                       SELECT profile.id
                         FROM member_profile profile
                         JOIN res_partner pa ON pa.id = profile.partner_id
                        WHERE pa.phone_sanitized = r.address
                     ORDER BY profile.id DESC LIMIT 1) p ON TRUE
              ORDER BY r.position
           ON CONFLICT DO NOTHING
             RETURNING id
                """,
                gateway=gateway.id,
                company=gateway.company_id.id,
                uid=self.env.uid,
                now=now,
                addresses=[reply.address for reply in inbound],
                texts=[reply.text for reply in inbound],
                dates=[
                    reply.date.replace(tzinfo=None) if reply.date else now
                    for reply in inbound
                ],
                intents=intents,
                keywords=[rule.id or None for rule in found],
                complaints=complaints,
                refs=[reply.event_ref for reply in inbound],
            )
        )
        return self.browse(row[0] for row in rows)

    def _find_profiles(self, addresses):
        """Everybody who uses one of these numbers: a refusal counts for the number.
        No number, such as of a message whose record is over, is nobody's."""
        return self.env["member.profile"].search(
            [("partner_id.phone_sanitized", "in", list(filter(None, addresses)))]
        )

    def action_handled(self):
        self.is_handled = True
        self.activity_ids.action_done()

    def action_open_member(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "member.profile",
            "res_id": self.profile_id.id,
            "views": [(False, "form")],
        }
