#include "memory/knowledge/quantities.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <vector>

#include "base/core/utf8.h"

namespace memory::knowledge {
namespace {

struct Unit {
    std::string_view name;  ///< lower case; where case counts, `exact` is set
    std::string_view dimension;
    double factor = 1;
    bool exact = false;
};

// Longest names first where one begins another (Chinese has no blanks).
constexpr auto kUnits = std::to_array<Unit>({
    {"tib", "B", 1099511627776.},
    {"gib", "B", 1073741824.},
    {"mib", "B", 1048576.},
    {"kib", "B", 1024.},
    {"tb", "B", 1e12},
    {"gb", "B", 1e9},
    {"mb", "B", 1e6},
    {"kb", "B", 1e3},
    {"bytes", "B", 1},
    {"byte", "B", 1},
    {"gbps", "bit/s", 1e9},
    {"gbit/s", "bit/s", 1e9},
    {"mbps", "bit/s", 1e6},
    {"mbit/s", "bit/s", 1e6},
    {"kbps", "bit/s", 1e3},
    {"kilometers", "m", 1e3},
    {"kilometres", "m", 1e3},
    {"kilometer", "m", 1e3},
    {"km", "m", 1e3},
    {"meters", "m", 1},
    {"metres", "m", 1},
    {"meter", "m", 1},
    {"metre", "m", 1},
    {"centimeters", "m", .01},
    {"centimetres", "m", .01},
    {"cm", "m", .01},
    {"millimeters", "m", .001},
    {"millimetres", "m", .001},
    {"mm", "m", .001},
    {"miles", "m", 1609.344},
    {"mile", "m", 1609.344},
    {"feet", "m", .3048},
    {"ft", "m", .3048},
    {"inches", "m", .0254},
    {"inch", "m", .0254},
    {"m", "m", 1},
    {"km/h", "m/s", 1 / 3.6},
    {"kph", "m/s", 1 / 3.6},
    {"mph", "m/s", .44704},
    {"m/s", "m/s", 1},
    {"kilograms", "kg", 1},
    {"kilogram", "kg", 1},
    {"kg", "kg", 1},
    {"grams", "kg", .001},
    {"gram", "kg", .001},
    {"g", "kg", .001},
    {"milligrams", "kg", 1e-6},
    {"mg", "kg", 1e-6},
    {"tonnes", "kg", 1e3},
    {"tons", "kg", 1e3},
    {"pounds", "kg", .45359237},
    {"lbs", "kg", .45359237},
    {"lb", "kg", .45359237},
    {"ounces", "kg", .028349523},
    {"oz", "kg", .028349523},
    {"liters", "m3", .001},
    {"litres", "m3", .001},
    {"liter", "m3", .001},
    {"litre", "m3", .001},
    {"ml", "m3", 1e-6},
    {"l", "m3", .001},
    {"milliseconds", "s", .001},
    {"ms", "s", .001},
    {"seconds", "s", 1},
    {"second", "s", 1},
    {"s", "s", 1},
    {"minutes", "s", 60},
    {"minute", "s", 60},
    {"min", "s", 60},
    {"hours", "s", 3600},
    {"hour", "s", 3600},
    {"hrs", "s", 3600},
    {"h", "s", 3600},
    {"days", "s", 86400},
    {"day", "s", 86400},
    {"weeks", "s", 604800},
    {"week", "s", 604800},
    {"months", "month", 1},
    {"month", "month", 1},
    {"years", "month", 12},
    {"year", "month", 12},
    {"%", "%", 1},
    {"percent", "%", 1},
    {"ghz", "Hz", 1e9},
    {"mhz", "Hz", 1e6},
    {"khz", "Hz", 1e3},
    {"hz", "Hz", 1},
    {"kw", "W", 1e3},
    {"MW", "W", 1e6, true},
    {"gw", "W", 1e9},
    {"watts", "W", 1},
    {"w", "W", 1},
    {"kwh", "J", 3.6e6},
    {"mwh", "J", 3.6e9},
    {"wh", "J", 3600},
    {"volts", "V", 1},
    {"v", "V", 1},
    {"kv", "V", 1e3},
    {"mah", "Ah", .001},
    {"ah", "Ah", 1},
    {"°c", "°C", 1},
    {"°f", "°F", 1},
    {"k", "K", 1, true},
    {"usd", "USD", 1},
    {"dollars", "USD", 1},
    {"eur", "EUR", 1},
    {"euros", "EUR", 1},
    {"gbp", "GBP", 1},
    {"cny", "CNY", 1},
    {"rmb", "CNY", 1},
    {"yuan", "CNY", 1},
    {"jpy", "JPY", 1},
    {"yen", "JPY", 1},
});
constexpr auto kChineseUnits = std::to_array<Unit>({
    {"人民币", "CNY", 1},  {"美元", "USD", 1},      {"欧元", "EUR", 1},      {"日元", "JPY", 1},
    {"元", "CNY", 1},      {"平方公里", "m2", 1e6}, {"平方千米", "m2", 1e6}, {"平方米", "m2", 1},
    {"公顷", "m2", 1e4},   {"公里", "m", 1e3},      {"千米", "m", 1e3},      {"厘米", "m", .01},
    {"毫米", "m", .001},   {"米", "m", 1},          {"千克", "kg", 1},       {"公斤", "kg", 1},
    {"克", "kg", .001},    {"吨", "kg", 1e3},       {"小时", "s", 3600},     {"分钟", "s", 60},
    {"秒", "s", 1},        {"天", "s", 86400},      {"周", "s", 604800},     {"个月", "month", 1},
    {"年", "month", 12},   {"升", "m3", .001},      {"毫升", "m3", 1e-6},    {"人", "count 人", 1},
    {"名", "count 人", 1}, {"个", "count 个", 1},   {"家", "count 家", 1},   {"台", "count 台", 1},
    {"页", "count 页", 1}, {"次", "count 次", 1},
});
struct Scale {
    std::string_view name;
    double factor;
};
constexpr auto kScales = std::to_array<Scale>({{"thousand", 1e3},
                                               {"million", 1e6},
                                               {"mn", 1e6},
                                               {"billion", 1e9},
                                               {"bn", 1e9},
                                               {"trillion", 1e12}});
constexpr auto kChineseScales =
    std::to_array<Scale>({{"万亿", 1e12}, {"亿", 1e8}, {"万", 1e4}, {"千万", 1e7}, {"百万", 1e6}});
constexpr auto kCurrencies = std::to_array<Unit>(
    {{"US$", "USD"}, {"$", "USD"}, {"€", "EUR"}, {"£", "GBP"}, {"¥", "CNY"}, {"￥", "CNY"}});
constexpr auto kMonths =
    std::to_array<std::string_view>({"january", "february", "march", "april", "may", "june", "july",
                                     "august", "september", "october", "november", "december"});

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    return out;
}

/// Reads from the front of a text.
class Cursor {
public:
    explicit Cursor(std::string_view text) : text_(text) {}
    std::size_t at = 0;

    std::string_view rest() const { return text_.substr(std::min(at, text_.size())); }
    char peek(std::size_t ahead = 0) const {
        return at + ahead < text_.size() ? text_[at + ahead] : '\0';
    }
    bool take(std::string_view what) {
        if (!rest().starts_with(what)) return false;
        at += what.size();
        return true;
    }
    void blanks() {
        while (peek() == ' ') ++at;
    }
    std::string_view word() const {
        std::size_t end = at;
        while (end < text_.size() && is_letter(text_[end])) ++end;
        return text_.substr(at, end - at);
    }
    /// Digits alone, at most `most` of them.
    std::optional<int> whole(std::size_t least, std::size_t most) {
        std::size_t end = at;
        while (end < text_.size() && is_digit(text_[end])) ++end;
        if (end - at < least || end - at > most) return std::nullopt;
        int value = 0;
        std::from_chars(text_.data() + at, text_.data() + end, value);
        at = end;
        return value;
    }

private:
    std::string_view text_;
};

int month_of(std::string_view word) {
    const std::string name = lower(word);
    if (name.size() < 3) return 0;
    for (std::size_t i = 0; i < kMonths.size(); ++i) {
        if (kMonths[i] == name || (name.size() <= 4 && kMonths[i].starts_with(name.substr(0, 3)) &&
                                   (name.size() == 3 || name == "sept"))) {
            return static_cast<int>(i + 1);
        }
    }
    return 0;
}

Quantity date(int year, int month, int day, std::size_t end) {
    return {Statement::Kind::time, fmt::format("date|{}|{}|{}", year, month, day), "", end};
}
bool plausible(int year) {
    return year >= 1000 && year <= 2200;
}

/// After a date nothing may go on that makes it another: "2020-2021", "May 3 to 5".
bool ends_well(const Cursor& in) {
    const std::string_view rest = in.rest();
    if (rest.starts_with("-") || rest.starts_with("–") || rest.starts_with("—") ||
        rest.starts_with("/") || rest.starts_with("~") || rest.starts_with("～")) {
        return false;
    }
    for (const std::string_view word :
         {" to ", " - ", " – ", " or ", "至", "到", "左右", "以上", "以下", "多", "余", "+"}) {
        if (rest.starts_with(word)) return false;
    }
    // A digit or letter glued to it: a name, not a figure.
    return !(in.peek() != '\0' && (is_digit(in.peek()) || is_letter(in.peek())));
}

std::optional<Quantity> read_date(std::string_view text, bool year_is_date) {
    Cursor in(text);
    if (const auto year = in.whole(4, 4)) {
        if (!plausible(*year)) return std::nullopt;
        if (in.take("年")) {
            const auto month = in.whole(1, 2);
            if (!month)
                return ends_well(in) ? std::optional(date(*year, 0, 0, in.at)) : std::nullopt;
            if (*month < 1 || *month > 12 || !in.take("月")) return std::nullopt;
            const auto day = in.whole(1, 2);
            if (day && (*day < 1 || *day > 31 || !(in.take("日") || in.take("号"))))
                return std::nullopt;
            return ends_well(in) ? std::optional(date(*year, *month, day.value_or(0), in.at))
                                 : std::nullopt;
        }
        const char mark = in.peek();
        if ((mark == '-' || mark == '/' || mark == '.') && is_digit(in.peek(1))) {
            ++in.at;
            const auto month = in.whole(1, 2);
            if (!month || *month < 1 || *month > 12 || in.peek() != mark) return std::nullopt;
            ++in.at;
            const auto day = in.whole(1, 2);
            if (!day || *day < 1 || *day > 31 || !ends_well(in)) return std::nullopt;
            return date(*year, *month, *day, in.at);
        }
        // "1670米" is no year.
        const bool alone = static_cast<signed char>(in.peek()) >= 0;
        if (year_is_date && alone && ends_well(in)) return date(*year, 0, 0, in.at);
        return std::nullopt;
    }
    int day = 0;
    if (const auto first = in.whole(1, 2)) {
        day = *first;
        for (const char* suffix : {"st", "nd", "rd", "th"}) {
            if (in.take(suffix)) break;
        }
        if (day < 1 || day > 31 || in.peek() != ' ') return std::nullopt;
        in.blanks();
        if (in.take("of ")) in.blanks();
    }
    const std::string_view word = in.word();
    const int month = month_of(word);
    if (month == 0) return std::nullopt;
    in.at += word.size();
    in.take(".");
    in.blanks();
    if (day == 0 && is_digit(in.peek())) {
        const Cursor before = in;
        if (const auto number = in.whole(1, 2); number && !is_letter(in.peek())) {
            day = *number;
            if (!in.take(",") && in.peek() != ' ') return std::nullopt;
        } else {
            in = before;
        }
    }
    in.take(",");
    in.blanks();
    const auto year = in.whole(4, 4);
    if (!year || !plausible(*year) || day > 31 || !ends_well(in)) return std::nullopt;
    return date(*year, month, day, in.at);
}

std::optional<Quantity> read_clock(std::string_view text) {
    Cursor in(text);
    const auto hour = in.whole(1, 2);
    if (!hour || *hour > 24) return std::nullopt;
    int minute = 0;
    const bool colon = in.take(":");
    if (colon) {
        const auto read = in.whole(2, 2);
        if (!read || *read > 59) return std::nullopt;
        minute = *read;
    }
    const std::size_t bare = in.at;
    in.blanks();
    const std::string half = lower(in.rest().substr(0, 4));
    int shift = -1;
    std::size_t taken = 0;
    for (const auto& [name, hours] :
         {std::pair<std::string_view, int>{"a.m.", 0}, {"p.m.", 12}, {"am", 0}, {"pm", 12}}) {
        if (shift < 0 && half.starts_with(name)) {
            shift = hours;
            taken = name.size();
        }
    }
    if (shift >= 0) {
        in.at += taken;
    } else {
        in.at = bare;
    }
    if ((!colon && shift < 0) || !ends_well(in)) return std::nullopt;
    const int of_day = shift < 0 ? *hour : *hour % 12 + shift;
    return Quantity{Statement::Kind::time, fmt::format("clock|{}", of_day * 60 + minute), "",
                    in.at};
}

/// What a number's writing says of how exact it is: digits that count.
int significant(std::string_view digits) {
    int count = 0, zeros = 0;
    bool point = false, started = false;
    for (const char c : digits) {
        if (c == '.') point = true;
        if (!is_digit(c)) continue;
        started |= c != '0';
        if (!started) continue;
        ++count;
        zeros = c == '0' ? zeros + 1 : 0;
    }
    // Of whole numbers up to 999 people mean every digit.
    return point || count <= 3 ? count : count - zeros;
}

std::optional<double> read_number(Cursor& in, int& digits) {
    std::string plain;
    std::size_t end = in.at;
    const std::string_view rest = in.rest();
    std::size_t i = 0;
    if (rest.starts_with("-")) plain += rest[i++];
    for (; i < rest.size(); ++i) {
        if (is_digit(rest[i]) || (rest[i] == '.' && plain.find('.') == std::string::npos &&
                                  i + 1 < rest.size() && is_digit(rest[i + 1]))) {
            plain += rest[i];
        } else if (rest[i] == ',' && i + 3 < rest.size() && is_digit(rest[i + 1]) &&
                   is_digit(rest[i + 2]) && is_digit(rest[i + 3]) &&
                   !(i + 4 < rest.size() && is_digit(rest[i + 4]))) {
            continue;
        } else {
            break;
        }
    }
    if (plain.empty() || plain == "-" || plain.size() > 20 || plain.starts_with('.'))
        return std::nullopt;
    end += i;
    double value = 0;
    std::from_chars(plain.data(), plain.data() + plain.size(), value);
    digits = significant(plain);
    in.at = end;
    return value;
}

std::string singular(std::string word) {
    if (word.ends_with("ies") && word.size() > 4) {
        word.resize(word.size() - 3);
        return word + 'y';
    }
    if (word.ends_with("people")) return "person";
    if (word.ends_with('s') && !word.ends_with("ss") && word.size() > 3) word.pop_back();
    return word;
}

/// The unit at the cursor, and behind a blank at most.
const Unit* read_unit(Cursor& in) {
    Cursor ahead = in;
    ahead.blanks();
    for (const Unit& unit : kChineseUnits) {
        if (ahead.take(unit.name)) {
            in = ahead;
            return &unit;
        }
    }
    std::size_t end = 0;
    const std::string_view rest = ahead.rest();
    while (end < rest.size() && (is_letter(rest[end]) || rest[end] == '/')) ++end;
    if (end == 0 && rest.starts_with('%')) end = 1;
    if (end == 0 && rest.starts_with("°") && rest.size() > 2 && is_letter(rest[2])) end = 3;
    const std::string_view written = rest.substr(0, end);
    const std::string name = lower(written);
    for (const Unit& unit : kUnits) {
        if (unit.exact ? written == unit.name : name == unit.name) {
            in.at = ahead.at + end;
            return &unit;
        }
    }
    return nullptr;
}

std::optional<Quantity> read_figure(std::string_view text) {
    Cursor in(text);
    std::string dimension;
    for (const Unit& currency : kCurrencies) {
        if (dimension.empty() && in.take(currency.name)) dimension = currency.dimension;
    }
    if (!dimension.empty()) in.blanks();
    int digits = 0;
    const auto number = read_number(in, digits);
    if (!number) return std::nullopt;
    double value = *number;
    for (const Scale& scale : kChineseScales) {
        if (in.take(scale.name)) {
            value *= scale.factor;
            break;
        }
    }
    {
        Cursor ahead = in;
        ahead.blanks();
        const std::string word = lower(ahead.word());
        for (const Scale& scale : kScales) {
            if (scale.name == word) {
                value *= scale.factor;
                in.at = ahead.at + word.size();
            }
        }
    }
    std::string counted;
    if (const Unit* unit = read_unit(in)) {
        if (!dimension.empty() && dimension != unit->dimension) return std::nullopt;
        dimension = unit->dimension;
        value *= unit->factor;
    } else if (dimension.empty() && in.peek() == ' ' && is_letter(in.peek(1))) {
        Cursor ahead = in;
        ahead.blanks();
        const std::string_view word = ahead.word();
        const bool noun = word.size() >= 3 && word == lower(word);
        for (const std::string_view other :
             {"and",   "but",     "for",   "with",  "per",    "from",   "than",  "which",
              "while", "because", "since", "after", "before", "during", "under", "over",
              "the",   "this",    "that",  "until", "each",   "more",   "less"}) {
            if (word == other) return std::nullopt;
        }
        if (noun) {
            in.at = ahead.at + word.size();
            counted = singular(std::string(word));
            dimension = "count " + counted;
        }
    }
    if (!ends_well(in)) return std::nullopt;
    return Quantity{Statement::Kind::number, fmt::format("{}|{:.12g}|{}", dimension, value, digits),
                    counted, in.at};
}

std::vector<std::string_view> fields_of(std::string_view text) {
    std::vector<std::string_view> out;
    for (;;) {
        const std::size_t bar = text.find('|');
        out.push_back(text.substr(0, bar));
        if (bar == std::string_view::npos) return out;
        text.remove_prefix(bar + 1);
    }
}

double number_of(std::string_view text) {
    double value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

double rounded(double value, int digits) {
    if (value == 0) return 0;
    const double scale = std::pow(10., digits - 1 - std::floor(std::log10(std::fabs(value))));
    return std::round(value * scale) / scale;
}

}  // namespace

std::optional<Quantity> read_quantity(std::string_view text, bool year_is_date) {
    if (auto found = read_date(text, year_is_date)) return found;
    if (auto found = read_clock(text)) return found;
    return read_figure(text);
}

std::optional<bool> agree(Statement::Kind kind, std::string_view a, std::string_view b) {
    if (a == b) return true;
    if (kind == Statement::Kind::text) return false;
    const auto left = fields_of(a), right = fields_of(b);
    if (left.size() != right.size() || left[0] != right[0]) return std::nullopt;
    if (kind == Statement::Kind::time) {
        for (std::size_t i = 1; i < left.size(); ++i) {
            if (left[0] == "date" && (left[i] == "0" || right[i] == "0")) return true;
            if (left[i] != right[i]) return false;
        }
        return true;
    }
    if (left.size() != 3) return std::nullopt;
    const double x = number_of(left[1]), y = number_of(right[1]);
    const int digits = static_cast<int>(std::min(number_of(left[2]), number_of(right[2])));
    const double near = 1e-9 * std::max(std::fabs(x), std::fabs(y));
    return std::fabs(rounded(x, std::max(digits, 1)) - rounded(y, std::max(digits, 1))) <= near;
}

}  // namespace memory::knowledge
