"""Central and Eastern Europe and the Near East: Polish, Czech, Hungarian, Turkish, Greek, Cyrillic, Hebrew, Arabic."""

from __future__ import annotations

from tui.demo.languages import Language, Text

EAST = (
    Language(
        "pl",
        ("iso-8859-2", "utf-8", "windows-1250"),
        ("Łukasz", "Małgorzata", "Paweł", "Żaneta", "Michał"),
        ("Woźniak", "Błaszczyk", "Zając", "Wójcik", "Kaźmierczak"),
        (
            Text(
                "Tylko dziś: rabat {n}% na cały asortyment",
                ("Szanowni Państwo,", "do {date} wszystkie produkty są tańsze o {n}%.", "{link}"),
            ),
            Text(
                "Pożyczka do {amount} bez zaświadczeń",
                ("Decyzja w {n} minut, wypłata jeszcze dziś.", "Złóż wniosek: {link}"),
            ),
        ),
        (Text("Twoja paczka nr {n} czeka na dopłatę", ("Prosimy o dopłatę {amount} przed {date}.", "{link}")),),
        (
            Text(
                "Oferta nr {n} – odpowiedź na zapytanie",
                ("Dzień dobry,", "w załączeniu przesyłam ofertę na kwotę {amount}.", "Z poważaniem,\n{name}"),
            ),
        ),
        "zł ",
    ),
    Language(
        "cs",
        ("iso-8859-2", "utf-8", "windows-1250"),
        ("Jiří", "Kateřina", "Tomáš", "Eliška", "Vojtěch"),
        ("Martinů", "Janků", "Petrů", "Jirků", "Tomšů"),
        (
            Text(
                "Výprodej: sleva až {n} % do půlnoci",
                ("Vážený zákazníku,", "do {date} máme na všechno slevu {n} %.", "{link}"),
            ),
        ),
        (Text("Váš účet byl dočasně omezen", ("Ověřte prosím své údaje do {date}: {link}",)),),
        (
            Text(
                "Zápis ze schůzky dne {date}",
                ("Dobrý den,", "v příloze posílám zápis. Děkuji za připomínky.", "S pozdravem\n{name}"),
            ),
        ),
        "Kč ",
    ),
    Language(
        "hu",
        ("iso-8859-2", "utf-8"),
        ("Győző", "Ágnes", "Bőske", "László"),
        ("Szűcs", "Kőszegi", "Nagy", "Fehérvári"),
        (
            Text(
                "Őszi vásár: {n}% kedvezmény mindenre",
                ("Kedves Vásárlónk!", "{date} napjáig {n}% kedvezményt adunk.", "{link}"),
            ),
        ),
        (Text("Fiókja felfüggesztésre kerül", ("Kérjük, erősítse meg adatait: {link}",)),),
        (
            Text(
                "Árajánlat, {n}. számú",
                ("Tisztelt Hölgyem, Uram!", "Mellékelten küldöm az ajánlatot: {amount}.", "Üdvözlettel:\n{name}"),
            ),
        ),
        "Ft ",
        True,
    ),
    Language(
        "tr",
        ("iso-8859-9", "utf-8", "windows-1254"),
        ("Çağla", "İbrahim", "Gökhan", "Şule"),
        ("Yıldız", "Öztürk", "Güneş", "Aydoğan"),
        (
            Text(
                "Sadece bugün: %{n} indirim fırsatı",
                ("Değerli müşterimiz,", "{date} gününe kadar her şeyde %{n} indirim.", "{link}"),
            ),
        ),
        (Text("Hesabınız askıya alınacaktır", ("Lütfen bilgilerinizi doğrulayın: {link}",)),),
        (
            Text(
                "Teklif no {n}", ("Sayın yetkili,", "teklifimiz ekte sunulmuştur: {amount}.", "Saygılarımızla,\n{name}")
            ),
        ),
        "TL ",
    ),
    Language(
        "el",
        ("iso-8859-7", "utf-8", "windows-1253"),
        ("Γιώργος", "Ελένη", "Νίκος", "Αθηνά"),
        ("Γεωργίου", "Νικολάου", "Αντωνίου", "Αθανασίου"),
        (
            Text(
                "Μόνο σήμερα: έκπτωση {n}%",
                ("Αγαπητέ πελάτη,", "έως {date} όλα τα προϊόντα με έκπτωση {n}%.", "{link}"),
            ),
        ),
        (Text("Ο λογαριασμός σας θα ανασταλεί", ("Επιβεβαιώστε τα στοιχεία σας: {link}",)),),
        (
            Text(
                "Προσφορά αρ. {n}",
                ("Καλημέρα σας,", "σας επισυνάπτω την προσφορά μας ({amount}).", "Με εκτίμηση,\n{name}"),
            ),
        ),
    ),
    Language(
        "ru",
        ("koi8-r", "windows-1251", "utf-8", "iso-8859-5"),
        ("Андрей", "Ольга", "Сергей", "Наталья", "Дмитрий"),
        ("Черных", "Литвиненко", "Седых", "Гончар", "Шевчук"),
        (
            Text(
                "Распродажа! Скидки до {n}% только сегодня",
                ("Уважаемый покупатель!", "До {date} скидка {n}% на все товары.", "{link}"),
            ),
            Text(
                "Семинар для бухгалтеров: изменения с {date}",
                ("Приглашаем на семинар.", "Стоимость участия: {amount}. Телефон: {n}-{n}.", "{link}"),
            ),
            Text(
                "Склады и офисы в аренду от собственника",
                ("Площадь {n} м2, цена {amount} в месяц.", "Без посредников."),
            ),
        ),
        (
            Text(
                "Ваш почтовый ящик заполнен на {n}%",
                ("С {date} письма приниматься не будут.", "Подтвердите пароль: {link}"),
            ),
            Text("Счёт № {n} ожидает оплаты", ("Сумма: {amount}. Открыть документ: {link}",)),
        ),
        (
            Text(
                "Коммерческое предложение № {n}",
                ("Добрый день!", "Направляю предложение на сумму {amount}.", "С уважением,\n{name}"),
            ),
        ),
        "руб. ",
    ),
    Language(
        "uk",
        ("windows-1251", "koi8-u", "utf-8"),
        ("Олена", "Тарас", "Ірина", "Євген"),
        ("Шевченко", "Коваленко", "Їжакевич", "Ткачук"),
        (Text("Лише сьогодні: знижка {n}% на все", ("Шановний покупцю!", "До {date} діє знижка {n}%.", "{link}")),),
        (Text("Ваш обліковий запис буде заблоковано", ("Підтвердьте свої дані: {link}",)),),
        (Text("Пропозиція № {n}", ("Доброго дня!", "Надсилаю пропозицію на суму {amount}.", "З повагою,\n{name}")),),
        "грн ",
    ),
    Language(
        "he",
        ("windows-1255", "utf-8"),
        ("נועה", "יוסי", "תמר", "דוד"),
        ("כהן", "לוי", "מזרחי", "פרץ"),
        (Text("רק היום: {n}% הנחה על הכול", ("לקוח יקר,", "עד {date} הנחה של {n}% בכל החנות.", "{link}")),),
        (Text("חשבונך יושעה בקרוב", ("נא לאמת את הפרטים: {link}",)),),
        (Text("הצעת מחיר מספר {n}", ("שלום רב,", "מצורפת הצעת המחיר שלנו: {amount}.", "בברכה,\n{name}")),),
        "₪",
    ),
    Language(
        "ar",
        ("windows-1256", "utf-8", "iso-8859-6"),
        ("محمد", "فاطمة", "أحمد", "ليلى"),
        ("الحسن", "الخطيب", "منصور", "العلي"),
        (
            Text(
                "عرض خاص: خصم {n}٪ لمدة يوم واحد",
                ("عزيزي العميل،", "خصم {n} بالمئة على جميع المنتجات حتى {date}.", "{link}"),
            ),
        ),
        (Text("تنبيه: سيتم إيقاف حسابك", ("يرجى تأكيد بياناتك قبل {date}:", "{link}")),),
        (
            Text(
                "عرض سعر رقم {n}", ("السلام عليكم،", "تجدون في المرفق عرض السعر بمبلغ {amount}.", "مع التحية،\n{name}")
            ),
        ),
        "$",
    ),
)
