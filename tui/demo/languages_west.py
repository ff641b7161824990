"""What is written in Latin script west of the Oder: German, French, Spanish, Italian, Portuguese, Dutch, Swedish."""

from __future__ import annotations

from tui.demo.languages import Language, Text

WEST = (
    Language(
        "de",
        ("utf-8", "iso-8859-1", "windows-1252", "iso-8859-15"),
        ("Jürgen", "Anneliese", "Björn", "Käthe", "Lukas", "Sabine", "Götz"),
        ("Müller", "Weiß", "Schröder", "Köhler", "Vogel", "Jäger", "Groß"),
        (
            Text(
                "Jetzt {n} % sparen: nur für kurze Zeit",
                ("Sehr geehrte Damen und Herren,", "nur bis {date}: {n} % auf alle Möbel und Geräte.", "{link}"),
            ),
            Text(
                "Ihr Gewinn über {amount} wartet",
                (
                    "Herzlichen Glückwunsch!",
                    "Ihre Losnummer {n} hat gewonnen. Bitte bestätigen Sie Ihre Anschrift.",
                    "{link}",
                ),
            ),
            Text(
                "Günstige Kredite ohne Prüfung",
                ("Sofortkredit bis {amount}, Zusage in {n} Stunden, für jede Bonität.", "{link}"),
            ),
        ),
        (
            Text(
                "Ihr Konto wurde vorübergehend gesperrt",
                (
                    "Aus Sicherheitsgründen wurde Ihr Konto gesperrt.",
                    "Bitte bestätigen Sie Ihre Daten bis {date}: {link}",
                ),
            ),
            Text(
                "Mahnung: Rechnung {n} noch offen",
                (
                    "trotz unserer Erinnerung ist die Rechnung {n} über {amount} nicht bezahlt.",
                    "Dokument öffnen: {link}",
                ),
            ),
        ),
        (
            Text(
                "Angebot Nr. {n} für Ihre Anfrage",
                (
                    "Sehr geehrte Frau Kollegin,",
                    "anbei unser Angebot über {amount}. Lieferzeit: {n} Tage.",
                    "Mit freundlichen Grüßen\n{name}",
                ),
            ),
            Text(
                "Rückfrage zur Straßenführung, Plan {n}",
                (
                    "Hallo zusammen,",
                    "die Pläne mit den Änderungen liegen bei; bitte bis {date} prüfen.",
                    "Viele Grüße\n{name}",
                ),
            ),
        ),
    ),
    Language(
        "fr",
        ("utf-8", "iso-8859-1", "iso-8859-15", "windows-1252"),
        ("Émilie", "François", "Chloé", "Jérôme", "Anaïs", "Benoît"),
        ("Lefèvre", "Durand", "Gauthier", "Béranger", "Noël", "Châtelain"),
        (
            Text(
                "Dernière chance : -{n} % sur toute la boutique",
                ("Bonjour,", "jusqu'au {date}, profitez de {n} % de réduction sur tout le site.", "{link}"),
            ),
            Text(
                "Votre crédit de {amount} est prêt",
                ("Réponse immédiate, sans justificatif.", "Déposez votre dossier en {n} minutes : {link}"),
            ),
        ),
        (
            Text(
                "Votre colis nº {n} est en attente",
                ("Le paiement des frais de {amount} est nécessaire avant le {date}.", "{link}"),
            ),
            Text(
                "Action requise : votre accès sera suspendu",
                ("Nous avons détecté une activité inhabituelle.", "Vérifiez votre identité : {link}"),
            ),
        ),
        (
            Text(
                "Devis nº {n} : rénovation de l'entrepôt",
                (
                    "Madame, Monsieur,",
                    "veuillez trouver ci-joint notre devis de {amount}, valable jusqu'au {date}.",
                    "Cordialement,\n{name}",
                ),
            ),
            Text(
                "Compte rendu de la réunion du {date}",
                (
                    "Bonjour à tous,",
                    "le compte rendu est en pièce jointe. Merci de vos remarques.",
                    "Bien à vous,\n{name}",
                ),
            ),
        ),
    ),
    Language(
        "es",
        ("utf-8", "iso-8859-1", "windows-1252"),
        ("José", "Lucía", "Ángel", "Begoña", "Íñigo", "Noemí"),
        ("Muñoz", "García", "Peñalver", "Ibáñez", "Domínguez", "Núñez"),
        (
            Text(
                "¡Última oportunidad! {n} % de descuento",
                ("Estimado cliente:", "solo hasta el {date}, {n} % menos en toda la tienda.", "{link}"),
            ),
            Text(
                "Ha ganado un premio de {amount}",
                ("¡Enhorabuena!", "Su dirección ha sido elegida en el sorteo nº {n}.", "{link}"),
            ),
        ),
        (
            Text(
                "Su cuenta será bloqueada el {date}",
                ("Hemos observado un acceso no habitual.", "Confirme sus datos aquí: {link}"),
            ),
            Text(
                "Factura pendiente nº {n}",
                ("La factura {n} por {amount} sigue pendiente de pago.", "Ver documento: {link}"),
            ),
        ),
        (
            Text(
                "Presupuesto nº {n}",
                (
                    "Buenos días:",
                    "le adjunto el presupuesto por {amount}; el plazo es de {n} días.",
                    "Un saludo,\n{name}",
                ),
            ),
            Text(
                "Reunión del {date}: orden del día",
                ("Hola a todos,", "adjunto el orden del día y la documentación de la sesión.", "Gracias,\n{name}"),
            ),
        ),
    ),
    Language(
        "it",
        ("utf-8", "iso-8859-1", "windows-1252"),
        ("Niccolò", "Giulia", "Andrea", "Noè", "Chiara"),
        ("Rossi", "Forlì", "Bonetti", "Marchetti", "D'Angelo"),
        (
            Text(
                "Solo oggi: sconto del {n}%, perché aspettare?",
                ("Gentile cliente,", "fino al {date} tutto è scontato del {n}%.", "{link}"),
            ),
            Text(
                "È il tuo turno: {amount} di buono", ("Rispondi a {n} domande e ritira il buono da {amount}.", "{link}")
            ),
        ),
        (
            Text(
                "La sua casella è piena al {n}%",
                ("Dal {date} i messaggi saranno respinti.", "Confermi la password: {link}"),
            ),
        ),
        (
            Text(
                "Offerta n. {n} e disponibilità",
                (
                    "Buongiorno,",
                    "in allegato l'offerta di {amount}. La consegna è prevista per il {date}.",
                    "Cordiali saluti\n{name}",
                ),
            ),
        ),
    ),
    Language(
        "pt",
        ("utf-8", "iso-8859-1", "windows-1252"),
        ("João", "Conceição", "Luís", "Inês", "Simão"),
        ("Gonçalves", "Magalhães", "Araújo", "Leitão", "Brandão"),
        (
            Text(
                "Promoção: até {n}% de desconto só amanhã",
                ("Caro cliente,", "aproveite {n}% de desconto até {date}. Não perca!", "{link}"),
            ),
        ),
        (
            Text(
                "Atualização obrigatória da sua conta",
                ("O acesso será suspenso em {date}.", "Atualize os seus dados: {link}"),
            ),
        ),
        (
            Text(
                "Orçamento {n} para aprovação",
                ("Bom dia,", "segue em anexo o orçamento de {amount}.", "Com os melhores cumprimentos,\n{name}"),
            ),
        ),
    ),
    Language(
        "nl",
        ("utf-8", "iso-8859-1", "windows-1252"),
        ("Daniël", "Zoë", "Maarten", "Fenna", "Joris"),
        ("de Vries", "van den Berg", "Coördes", "Hoekstra", "Bruïne"),
        (
            Text(
                "Laatste kans: {n}% korting op alles",
                ("Beste klant,", "tot {date} krijgt u {n}% korting op het hele assortiment.", "{link}"),
            ),
        ),
        (
            Text(
                "Uw pakket {n} kon niet worden bezorgd",
                ("Er staan nog {amount} aan kosten open.", "Regel het vóór {date}: {link}"),
            ),
        ),
        (
            Text(
                "Offerte {n}",
                (
                    "Geachte heer/mevrouw,",
                    "bijgaand vindt u onze offerte van {amount}.",
                    "Met vriendelijke groet,\n{name}",
                ),
            ),
        ),
    ),
    Language(
        "sv",
        ("utf-8", "iso-8859-1", "iso-8859-15"),
        ("Åsa", "Björn", "Märta", "Göran", "Linnéa"),
        ("Lindström", "Åkesson", "Sjögren", "Öberg", "Hägg"),
        (
            Text(
                "Bara i dag: {n} % på allt i butiken",
                ("Hej!", "Fram till {date} får du {n} % rabatt på hela sortimentet.", "{link}"),
            ),
        ),
        (Text("Ditt konto har begränsats", ("Vi behöver bekräfta dina uppgifter före {date}.", "{link}")),),
        (
            Text(
                "Protokoll från mötet den {date}",
                ("Hej alla,", "här kommer protokollet. Hör av er om något saknas.", "Hälsningar\n{name}"),
            ),
        ),
        "kr ",
    ),
)
