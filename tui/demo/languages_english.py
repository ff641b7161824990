"""English: what most of the demo's mail is written in, so it has the most to say."""

from __future__ import annotations

from tui.demo.languages import Language, Text

ENGLISH = Language(
    "en",
    ("utf-8", "us-ascii", "iso-8859-1", "windows-1252"),
    ("Emma", "Oliver", "Grace", "Daniel", "Priya", "Marcus", "Helen", "Thomas", "Aisha", "Peter"),
    ("Whitfield", "Okafor", "Bennett", "Harper", "Raman", "Sinclair", "Doyle", "Ashworth", "Nakamura", "Lowe"),
    (
        Text(
            "Save {n}% on everything until midnight",
            (
                "Dear customer,",
                "our warehouse is closing and {n}% is off everything. Order before {date}.",
                "{link}",
            ),
        ),
        Text(
            "Your unclaimed funds of {amount} are waiting",
            (
                "Good day,",
                "I am the legal adviser of a late client who left {amount} without next of kin. Your name came up in a "
                "search of our records.",
                "Reply in confidence with your full name and telephone number so that we may proceed.",
            ),
        ),
        Text(
            "Re: your SEO ranking on page 4",
            (
                "Hi there,",
                "I went through your website and found {n} errors that keep it from the first page. We fix them for "
                "{amount} a month, no contract.",
                "May I send you the report?",
            ),
        ),
        Text(
            "Last chance: {n} LED panels at factory price",
            (
                "Hello friend,",
                "we are manufacturer of LED panel since 2009. {n} pieces in stock, {amount} each.",
                "{link}",
            ),
        ),
        Text(
            "Lose {n} pounds before the holidays",
            ("Doctors did not want you to know.", "One capsule a day, {amount} a bottle, money back.", "{link}"),
        ),
        Text(
            "You have been selected for a remote position",
            (
                "We reviewed your profile and offer {amount} a week for two hours a day, from home.",
                "No experience needed. Write to our recruitment desk before {date}.",
            ),
        ),
        Text(
            "Pre-approved: business loan of {amount}",
            ("No collateral, no credit check, answer within {n} hours.", "Apply here: {link}"),
        ),
    ),
    (
        Text(
            "Your mailbox is {n}% full",
            (
                "Incoming messages will be returned from {date}.",
                "Confirm your password to add storage: {link}",
                "IT Help Desk",
            ),
        ),
        Text(
            "Unusual sign-in to your account",
            ("Someone signed in from a new device on {date}.", "If this was not you, secure your account: {link}"),
        ),
        Text(
            "Invoice {n} is overdue: {amount}",
            ("Payment of invoice {n} ({amount}) has not arrived.", "View the document and settle today: {link}"),
        ),
        Text(
            "Your parcel could not be delivered",
            ("Our courier was here on {date}. A fee of {amount} is due before we try again.", "{link}"),
        ),
        Text(
            "Payroll: confirm your bank details",
            (
                "Salaries of this month are paid on {date}. Check that your account number is right: {link}",
                "Human Resources",
            ),
        ),
    ),
    (
        Text(
            "Minutes of the project meeting on {date}",
            (
                "Hello all,",
                "please find the minutes attached. Open points are marked; the next meeting is on {date}.",
                "Best wishes, {name}",
            ),
        ),
        Text(
            "Quotation {n} for your enquiry",
            (
                "Dear Sir or Madam,",
                "thank you for your enquiry. Our price is {amount}, delivery within {n} days.",
                "Kind regards, {name}",
            ),
        ),
        Text(
            "Drawings for building 4, revision {n}",
            (
                "Hi,",
                "the drawings with your corrections are attached. Please check the staircase on sheet 12.",
                "Thanks, {name}",
            ),
        ),
        Text(
            "Application as test engineer",
            (
                "Dear hiring team,",
                "attached are my CV and references. I could start on {date}.",
                "Yours faithfully, {name}",
            ),
        ),
        Text(
            "Purchase order {n}",
            ("Please confirm the attached order ({amount}) by {date}.", "Regards, {name}"),
        ),
    ),
    "$",
)
