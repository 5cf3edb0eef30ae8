#include "memory/knowledge/statements.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <span>
#include <tuple>
#include <utility>

#include "base/core/utf8.h"
#include "memory/facts/extract.h"
#include "memory/knowledge/quantities.h"
#include "memory/knowledge/sentences.h"
#include "memory/text/characters.h"

namespace memory::knowledge {
namespace {

using Kind = Statement::Kind;
using Words = std::set<std::string_view>;

constexpr std::size_t kSentenceBytesMax = 600, kStatementsMax = 50'000;
constexpr std::size_t kQuoteBytesMax = 400;

// What makes a statement less than plain.
const Words kHedges = {"not",           "if",     "would",        "could",      "may",
                       "might",         "should", "about",        "around",     "roughly",
                       "nearly",        "almost", "least",        "most",       "than",
                       "over",          "under",  "between",      "or",         "said",
                       "says",          "claims", "claimed",      "according",  "estimated",
                       "unless",        "until",  "expected",     "planned",    "forecast",
                       "approximately", "never",  "no",           "example",    "instance",
                       "suppose",       "assume", "hypothetical", "reportedly", "allegedly",
                       "will",          "up",     "within",       "below",      "above",
                       "formerly",      "when",   "while",        "although",   "cannot",
                       "isn't",         "wasn't", "don't",        "doesn't",    "won't",
                       "can",           "each",   "every",        "per"};
const Words kNoNames = {"this",    "that",  "these", "those",   "it",    "its",   "he",  "she",
                        "they",    "we",    "our",   "my",      "your",  "his",   "her", "their",
                        "i",       "you",   "a",     "an",      "each",  "every", "all", "some",
                        "any",     "which", "who",   "what",    "there", "here",  "one", "both",
                        "many",    "most",  "other", "another", "such",  "no",    "and", "but",
                        "however", "also",  "then",  "thus"};
// Capitalised, and names of nothing in particular.
const Words kGeneric = {
    "the",        "company",   "group",     "board",     "committee", "government",  "university",
    "department", "agreement", "plan",      "notes",     "note",      "section",     "table",
    "figure",     "chapter",   "president", "fund",      "bank",      "corporation", "total",
    "net",        "gross",     "average",   "january",   "february",  "march",       "april",
    "may",        "june",      "july",      "august",    "september", "october",     "november",
    "december",   "monday",    "tuesday",   "wednesday", "thursday",  "friday",      "saturday",
    "sunday",     "level",     "step",      "phase",     "stage",     "quarter",     "year",
    "month",      "day",       "week",      "page",      "item",      "grade",       "class",
    "series",     "tier",      "part",      "appendix",  "exhibit",   "schedule",    "article",
    "rule",       "question",  "answer",    "example",   "case",      "type",        "group's",
    "employees",  "shares",    "team",      "city",      "club",      "school",      "state",
    "country",    "first",     "second",    "third",     "line",      "row",         "column",
    "option",     "version",   "release",   "us",        "u.s",       "fy"};
// A thing has one of each, named by a word or a few.
const Words kRoles = {"ceo",          "cto",        "cfo",       "president",    "chairman",
                      "chairwoman",   "chair",      "founder",   "author",       "director",
                      "manager",      "owner",      "capital",   "headquarters", "developer",
                      "manufacturer", "mayor",      "editor",    "publisher",    "leader",
                      "coach",        "maintainer", "supplier",  "vendor",       "licence",
                      "license",      "currency",   "principal", "chancellor",   "architect",
                      "designer",     "sponsor"};
const Words kEvents = {"founded",  "established", "built",     "completed",  "released",
                       "launched", "opened",      "born",      "acquired",   "incorporated",
                       "created",  "formed",      "published", "introduced", "discontinued",
                       "closed",   "signed",      "abolished"};
const Words kMeasures = {"weighs", "costs",    "measures", "employs",  "has",
                         "had",    "contains", "holds",    "seats",    "lasts",
                         "opens",  "closes",   "covers",   "operates", "spans"};
constexpr auto kChineseHedges = std::to_array<std::string_view>(
    {"约",   "左右", "超过", "近",   "以上", "以下", "不",   "未",   "如果",
     "可能", "至少", "至多", "最多", "预计", "将",   "或",   "据",   "假设",
     "？",   "当",   "若",   "每",   "曾",   "除",   "大概", "最少", "没有"});
constexpr auto kChineseNoNames = std::to_array<std::string_view>(
    {"我", "你", "他",   "她",   "它",   "这",   "那",   "该", "此",   "本",   "其",
     "某", "哪", "谁",   "什么", "自己", "一个", "所有", "每", "有的", "以及", "而",
     "但", "因", "其中", "之一", "和",   "与",   "在",   "由", "被"});
constexpr auto kChineseEvents =
    std::to_array<std::pair<std::string_view, std::string_view>>({{"成立于", "成立"},
                                                                  {"创立于", "成立"},
                                                                  {"创办于", "成立"},
                                                                  {"建立于", "成立"},
                                                                  {"始建于", "始建"},
                                                                  {"建成于", "建成"},
                                                                  {"竣工于", "建成"},
                                                                  {"发布于", "发布"},
                                                                  {"上市于", "上市"},
                                                                  {"出生于", "出生"},
                                                                  {"生于", "出生"},
                                                                  {"开业于", "开业"}});
constexpr auto kChineseCopulas =
    std::to_array<std::string_view>({"达到", "共有", "是", "为", "达", "共", "：", ":"});

std::string folded(std::string_view text) {
    std::string out;
    for (const char c : text::fold(text)) {
        const bool blank = c == ' ' || c == '\n' || c == '\t' || c == '"' || c == '\'' ||
                           c == '(' || c == ')' || c == ',' || c == '_' || c == '-';
        if (!blank) {
            out += c;
        } else if (!out.empty() && out.back() != ' ') {
            out += ' ';
        }
    }
    while (!out.empty() && (out.back() == ' ' || out.back() == '.' || out.back() == ':'))
        out.pop_back();
    return out;
}

bool ascii_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool digit(char c) {
    return c >= '0' && c <= '9';
}
bool upper(char c) {
    return c >= 'A' && c <= 'Z';
}

struct Word {
    std::string_view text;  ///< without the marks around it
    std::string low;
    std::size_t begin = 0, end = 0;  ///< with them, in the sentence
    bool comma = false;              ///< a comma, colon or dash follows
};

std::vector<Word> words_of(std::string_view sentence) {
    std::vector<Word> words;
    for (std::size_t at = 0; at < sentence.size();) {
        const std::size_t begin = sentence.find_first_not_of(" \n\t", at);
        if (begin == std::string_view::npos) break;
        const std::size_t end = std::min(sentence.find_first_of(" \n\t", begin), sentence.size());
        at = end;
        std::string_view text = sentence.substr(begin, end - begin);
        const bool comma = text.ends_with(',') || text.ends_with(';') || text.ends_with(':');
        while (!text.empty() &&
               std::string_view(".,;:!?\"()[]").find(text.back()) != std::string_view::npos) {
            text.remove_suffix(1);
        }
        while (!text.empty() &&
               std::string_view("\"([").find(text.front()) != std::string_view::npos) {
            text.remove_prefix(1);
        }
        Word word{text, {}, begin, end, comma};
        for (const char c : text) word.low += upper(c) ? static_cast<char>(c + 32) : c;
        words.push_back(std::move(word));
    }
    return words;
}

/// "X200", "M8-A": letters and digits in one word. No year, no date, no ordinal.
bool is_identifier(std::string_view word) {
    bool letters = false, digits = false, lower_first = false;
    for (const char c : word) {
        letters |= ascii_letter(c) || static_cast<signed char>(c) < 0;
        digits |= digit(c);
    }
    lower_first = !word.empty() && digit(word[0]);
    if (!letters || !digits) return false;
    // "3rd", "2020s", "5kg": figures with a tail. "Q3", "FY20": times.
    if (lower_first) return false;
    return !((word[0] == 'Q' || word[0] == 'H') && word.size() == 2) && !word.starts_with("FY");
}

class Finder {
public:
    explicit Finder(const Parsed& parsed) : parsed_(parsed), text_(parsed.text) {
        for (const Block& block : parsed.blocks) {
            for (const Word& word : words_of(of(block))) {
                if (!word.text.empty() && word.text == word.low) common_.insert(word.text);
            }
        }
    }

    std::vector<StatementRow> run() {
        for (const Block& block : parsed_.blocks) {
            if (rows_.size() >= kStatementsMax) break;
            switch (block.kind) {
                case BlockKind::heading:
                    heading(block);
                    break;
                case BlockKind::header:
                    header_ = block;
                    break;
                case BlockKind::row:
                    row(block);
                    break;
                case BlockKind::code:
                    header_.reset();
                    break;
                default:
                    header_.reset();
                    prose(block);
            }
        }
        return std::move(rows_);
    }

private:
    std::string_view of(const Block& block) const {
        return text_.substr(block.begin, block.end - block.begin);
    }

    void heading(const Block& block) {
        header_.reset();
        while (!path_.empty() && path_.back().first >= block.level) path_.pop_back();
        path_.emplace_back(block.level, std::string(of(block)));
    }

    /// `begin`, `end`: of what is quoted, in the text.
    void say(std::string_view subject, std::string_view attribute, std::string_view qualifier,
             Kind kind, std::string_view value, std::string normal, std::uint64_t begin,
             std::uint64_t end) {
        StatementRow row;
        row.subject = subject;
        row.attribute = attribute;
        std::string name = folded(subject);
        if (name.starts_with("the ")) name.erase(0, 4);
        row.key = name + "|" + folded(attribute) + "|" + folded(qualifier);
        row.kind = kind;
        row.value = value;
        row.normal = std::move(normal);
        row.begin = begin;
        row.end = end;
        std::string_view quote = text_.substr(begin, end - begin).substr(0, kQuoteBytesMax);
        row.quote = quote.substr(0, base::utf8_valid_prefix_bytes(quote));
        for (const auto& [level, title] : path_) row.section.push_back(title);
        const auto page = std::ranges::upper_bound(parsed_.pages, begin, {}, &PageStart::begin) -
                          parsed_.pages.begin();
        row.page = static_cast<std::uint32_t>(page);
        if (page != 0) row.place = parsed_.pages[static_cast<std::size_t>(page - 1)].name;
        if (!name.empty()) rows_.push_back(std::move(row));
    }

    // --- prose -----------------------------------------------------------------------------
    void prose(const Block& block) {
        const std::string_view text = of(block);
        std::size_t begin = 0;
        for (const std::size_t end : sentence_ends(text)) {
            const std::string_view sentence = text.substr(begin, end - begin);
            const std::uint64_t at = block.begin + begin;
            begin = end;
            if (sentence.size() > kSentenceBytesMax ||
                sentence.find('?') != std::string_view::npos) {
                continue;
            }
            const std::size_t before = rows_.size();
            if (!key_value(sentence, at)) {
                english(sentence, at);
                chinese(sentence, at);
            }
            if (rows_.size() == before) known_facts(sentence, at);
        }
    }

    /// "Weight: 3.5 kg" under a heading that names a thing.
    bool key_value(std::string_view line, std::uint64_t at) {
        const std::size_t colon = line.find(": ");
        if (colon == std::string_view::npos || colon > 40) return false;
        const std::string_view attribute = line.substr(0, colon);
        const auto words = words_of(attribute);
        if (words.empty() || words.size() > 4 ||
            attribute.find_first_of(".,;|") != std::string_view::npos) {
            return false;
        }
        const auto subject = thing_above();
        if (!subject) return false;
        std::string_view value = line.substr(colon + 2);
        while (!value.empty() &&
               (value.back() == '.' || value.back() == ' ' || value.back() == '\n')) {
            value.remove_suffix(1);
        }
        const auto read = read_quantity(value, true);
        if (!read || read->end != value.size()) return false;
        say(*subject, attribute, "", read->kind, value, read->normal, at, at + line.size());
        return true;
    }

    /// The heading or title nearest above that names one thing: it holds an identifier.
    std::optional<std::string> thing_above() const {
        const auto named = [](std::string_view title) -> std::optional<std::string> {
            for (const Word& word : words_of(title)) {
                if (is_identifier(word.text)) return std::string(word.text);
            }
            return std::nullopt;
        };
        for (auto one = path_.rbegin(); one != path_.rend(); ++one) {
            if (auto found = named(one->second)) return found;
        }
        return named(parsed_.title);
    }

    bool names_something(std::span<const Word> words, bool starts_sentence) const {
        if (words.empty() || words.size() > 6) return false;
        bool name = false;
        for (std::size_t i = 0; i < words.size(); ++i) {
            const Word& word = words[i];
            if (word.text.empty() || word.comma || kNoNames.contains(word.low)) return false;
            if (kHedges.contains(word.low)) return false;
            if (is_identifier(word.text)) {
                name = true;
            } else if (upper(word.text[0]) && !kGeneric.contains(word.low)) {
                const bool opens = starts_sentence && i == 0;
                // The first word of a sentence is a name when nothing writes it otherwise.
                name |= !opens || !common_.contains(word.low);
            }
        }
        return name;
    }

    static bool is_attribute(std::span<const Word> words) {
        if (words.empty() || words.size() > 4) return false;
        return std::ranges::all_of(words, [](const Word& word) {
            return !word.text.empty() && !word.comma && !kNoNames.contains(word.low) &&
                   (word.text == word.low || kRoles.contains(word.low)) &&
                   std::ranges::all_of(word.low,
                                       [](char c) { return ascii_letter(c) || c == '-'; });
        });
    }

    static std::string joined(std::span<const Word> words) {
        std::string out;
        for (const Word& word : words) {
            if (word.low == "the" && out.empty()) continue;
            if (!out.empty()) out += ' ';
            out += word.text;
        }
        return out;
    }

    void english(std::string_view sentence, std::uint64_t at) {
        const std::vector<Word> all = words_of(sentence);
        if (all.size() < 4 || all.size() > 40) return;
        const auto hedges = [](const Word& word) {
            return kHedges.contains(word.low) && word.text != "May";  // the month
        };
        if (std::ranges::any_of(all, hedges)) return;
        std::span<const Word> words = all;
        std::string qualifier;
        bool starts = true;
        // "In 2020, ...": when and where it holds.
        if (words[0].low == "in" || words[0].low == "on" || words[0].low == "as" ||
            words[0].low == "at" || words[0].low == "since") {
            const auto comma = std::ranges::find_if(words, &Word::comma);
            if (comma == words.end() || comma - words.begin() > 6) return;
            const auto count = static_cast<std::size_t>(comma - words.begin()) + 1;
            qualifier = joined(words.first(count)) + " ";
            words = words.subspan(count);
            starts = false;
        }
        const std::uint64_t end = at + sentence.size();
        for (std::size_t verb = 1; verb + 1 < words.size() && verb < 10; ++verb) {
            const std::string& low = words[verb].low;
            if (low == "is" || low == "are" || low == "was" || low == "were" || low == "equals") {
                return copula(sentence, words, verb, starts, qualifier, at, end);
            }
            if (kMeasures.contains(low)) {
                return measure(sentence, words, verb, starts, qualifier, at, end);
            }
            if (words[verb].comma) return;
        }
    }

    /// What stands behind a value must be the end, or says what restricts it.
    static std::optional<std::string> rest_of(std::string_view sentence, std::size_t from) {
        std::string_view rest = sentence.substr(std::min(from, sentence.size()));
        while (!rest.empty() && (rest.back() == '.' || rest.back() == ' ' || rest.back() == '\n' ||
                                 rest.back() == '!')) {
            rest.remove_suffix(1);
        }
        if (rest.starts_with('-') || rest.starts_with("–") || rest.starts_with('/'))
            return std::nullopt;
        for (const char* joint : {" and ", " to ", ", and "}) {
            if (rest.starts_with(joint) && rest.size() > 5 &&
                rest.find_first_of("0123456789") < 8) {
                return std::nullopt;
            }
        }
        return std::string(rest);
    }

    void copula(std::string_view sentence, std::span<const Word> words, std::size_t verb,
                bool starts, std::string qualifier, std::uint64_t at, std::uint64_t end) {
        const std::span<const Word> left = words.first(verb);
        const bool past = words[verb].low.starts_with('w');
        // "X was founded in 1998."
        if (past && verb + 2 < words.size() && kEvents.contains(words[verb + 1].low) &&
            (words[verb + 2].low == "in" || words[verb + 2].low == "on") &&
            names_something(left, starts)) {
            if (verb + 3 >= words.size()) return;
            const std::size_t from = words[verb + 3].begin;
            const auto value = read_quantity(sentence.substr(from), true);
            if (!value || value->kind != Kind::time) return;
            const auto rest = rest_of(sentence, from + value->end);
            // When a thing began does not depend on what else is said of it.
            if (rest) {
                say(joined(left), words[verb + 1].low, qualifier, Kind::time,
                    sentence.substr(from, value->end), value->normal, at, end);
            }
            return;
        }
        std::span<const Word> attribute, subject;
        std::string owner;
        bool subject_starts = false;
        const auto possessive = std::ranges::find_if(left, [](const Word& word) {
            return word.text.ends_with("'s") || word.text.ends_with("’s");
        });
        const auto of_word = std::ranges::find(left, "of", &Word::low);
        if (possessive != left.end()) {
            const auto count = static_cast<std::size_t>(possessive - left.begin()) + 1;
            subject = left.first(count);
            attribute = left.subspan(count);
            owner = joined(subject);
            owner.resize(owner.size() - (owner.ends_with("’s") ? 4 : 2));
            subject_starts = starts;
        } else if (of_word != left.end() && left[0].low == "the") {
            const auto count = static_cast<std::size_t>(of_word - left.begin());
            attribute = left.subspan(1, count - 1);
            subject = left.subspan(count + 1);
            owner = joined(subject);
        } else {
            return role_of(sentence, words, verb, starts, past, at, end);
        }
        if (!is_attribute(attribute)) return;
        if (possessive != left.end()) {
            std::vector<Word> named(subject.begin(), subject.end());
            Word& last = named.back();
            const std::size_t tail = last.text.ends_with("’s") ? 4 : 2;
            last.text.remove_suffix(tail);
            last.low.resize(last.low.size() - tail);
            if (!names_something(named, subject_starts)) return;
        } else if (!names_something(subject, false)) {
            return;
        }
        if (past) qualifier += "was ";
        const std::size_t from = words[verb + 1].begin;
        if (const auto value = read_quantity(sentence.substr(from), false)) {
            const auto rest = rest_of(sentence, from + value->end);
            if (rest) {
                say(owner, joined(attribute), qualifier + *rest, value->kind,
                    sentence.substr(from, value->end), value->normal, at, end);
            }
            return;
        }
        if (kRoles.contains(attribute.back().low)) {
            name_value(words.subspan(verb + 1), owner, joined(attribute), qualifier, at, end);
        }
    }

    /// "Ann Lee is the CEO of Acme."
    void role_of(std::string_view, std::span<const Word> words, std::size_t verb, bool starts,
                 bool past, std::uint64_t at, std::uint64_t end) {
        const std::span<const Word> right = words.subspan(verb + 1);
        const auto of_word = std::ranges::find(right, "of", &Word::low);
        if (of_word == right.end() || right[0].low != "the") return;
        const auto count = static_cast<std::size_t>(of_word - right.begin());
        const std::span<const Word> attribute = right.subspan(1, count - 1);
        const std::span<const Word> owner = right.subspan(count + 1);
        if (!is_attribute(attribute) || !kRoles.contains(attribute.back().low)) return;
        if (!names_something(owner, false)) return;
        // All of it capitalised: "one of the directors" is somebody else.
        if (!names_something(words.first(verb), starts)) return;
        name_value(words.first(verb), joined(owner), joined(attribute), past ? "was " : "", at,
                   end);
    }

    /// A value that is a name, and nothing behind it.
    void name_value(std::span<const Word> value, const std::string& owner,
                    const std::string& attribute, const std::string& qualifier, std::uint64_t at,
                    std::uint64_t end) {
        if (value.empty() || value.size() > 5) return;
        const bool named = std::ranges::all_of(value, [](const Word& word) {
            return !word.text.empty() &&
                   (upper(word.text[0]) || word.low == "the" || word.low == "of" ||
                    word.low == "de" || word.low == "van");
        });
        if (!named) return;
        const std::string text = joined(value);
        say(owner, attribute, qualifier, Kind::text, text, folded(text), at, end);
    }

    void measure(std::string_view sentence, std::span<const Word> words, std::size_t verb,
                 bool starts, const std::string& qualifier, std::uint64_t at, std::uint64_t end) {
        if (!names_something(words.first(verb), starts)) return;
        std::size_t place = verb + 1;
        std::string attribute = words[verb].low;
        if ((attribute == "opens" || attribute == "closes") && words[place].low == "at") ++place;
        // "has a range of 500 km"
        if (attribute == "has" && (words[place].low == "a" || words[place].low == "an")) {
            const auto of_word = std::ranges::find(
                words.begin() + static_cast<std::ptrdiff_t>(place), words.end(), "of", &Word::low);
            const auto index = static_cast<std::size_t>(of_word - words.begin());
            if (of_word == words.end() || index > place + 4) return;
            const auto named = words.subspan(place + 1, index - place - 1);
            if (!is_attribute(named)) return;
            attribute = joined(named);
            place = index + 1;
        }
        if (place >= words.size()) return;
        const std::size_t from = words[place].begin;
        const auto value = read_quantity(sentence.substr(from), false);
        if (!value) return;
        const bool counts = attribute == "has" || attribute == "had" || attribute == "contains" ||
                            attribute == "operates" || attribute == "employs" ||
                            attribute == "holds";
        if (counts && value->counted.empty() && value->kind == Kind::number &&
            attribute != "employs") {
            // "has 16 GB of memory": of what.
            if (!sentence.substr(from + value->end).starts_with(" of ")) return;
        }
        const auto rest = rest_of(sentence, from + value->end);
        if (!rest) return;
        if (!value->counted.empty()) attribute += " " + value->counted;
        say(joined(words.first(verb)), attribute, qualifier + *rest, value->kind,
            sentence.substr(from, value->end), value->normal, at, end);
    }

    // --- Chinese ---------------------------------------------------------------------------
    static bool chinese_name(std::string_view name) {
        constexpr std::size_t kBytesMin = 4, kBytesMax = 60;
        if (name.size() < kBytesMin || name.size() > kBytesMax) return false;
        return std::ranges::none_of(kChineseNoNames, [&](std::string_view word) {
            return name.find(word) != std::string_view::npos;
        });
    }

    void chinese(std::string_view sentence, std::uint64_t at) {
        if (std::ranges::none_of(sentence, [](char c) { return static_cast<signed char>(c) < 0; }))
            return;
        std::size_t begin = 0;
        while (begin < sentence.size()) {
            std::size_t end = sentence.size(), next = sentence.size();
            for (const std::string_view mark : {"，", "。", "；", "！", ",", "\n"}) {
                if (const std::size_t found = sentence.find(mark, begin); found < end) {
                    end = found;
                    next = found + mark.size();
                }
            }
            clause(sentence.substr(begin, end - begin), at + begin);
            begin = next;
        }
    }

    void clause(std::string_view text, std::uint64_t at) {
        while (text.starts_with(' ')) {
            text.remove_prefix(1);
            ++at;
        }
        for (const std::string_view hedge : kChineseHedges) {
            if (text.find(hedge) != std::string_view::npos) return;
        }
        const std::uint64_t end = at + text.size();
        for (const auto& [words, attribute] : kChineseEvents) {
            const std::size_t verb = text.find(words);
            if (verb == std::string_view::npos) continue;
            const std::string_view rest = text.substr(verb + words.size());
            const auto value = read_quantity(rest, true);
            if (value && value->kind == Kind::time && value->end == rest.size() &&
                chinese_name(text.substr(0, verb))) {
                say(text.substr(0, verb), attribute, "", Kind::time, rest, value->normal, at, end);
            }
            return;
        }
        const std::size_t of = text.find("的");
        if (of == std::string_view::npos || !chinese_name(text.substr(0, of))) return;
        const std::string_view after = text.substr(of + 3);
        for (const std::string_view copula : kChineseCopulas) {
            const std::size_t verb = after.find(copula);
            if (verb == std::string_view::npos || verb == 0 || verb > 30) continue;
            std::string_view value = after.substr(verb + copula.size());
            while (value.starts_with(' ')) value.remove_prefix(1);
            const auto read = read_quantity(value, true);
            if (!read || read->end != value.size()) continue;
            say(text.substr(0, of), after.substr(0, verb), "", read->kind, value, read->normal, at,
                end);
            return;
        }
    }

    // --- tables ----------------------------------------------------------------------------
    static std::vector<std::string_view> cells_of(std::string_view row) {
        std::vector<std::string_view> cells;
        for (;;) {
            const std::size_t cut = row.find(kCellBreak);
            cells.push_back(row.substr(0, cut));
            if (cut == std::string_view::npos) return cells;
            row.remove_prefix(cut + kCellBreak.size());
        }
    }

    void row(const Block& block) {
        if (!header_) return;
        const auto names = cells_of(of(*header_));
        const auto cells = cells_of(of(block));
        if (cells.size() != names.size() || cells.size() < 2) return;
        const auto words = words_of(cells[0]);
        const bool thing = words.size() <= 5 && std::ranges::any_of(words, [](const Word& word) {
                               return is_identifier(word.text);
                           });
        if (!thing || read_quantity(cells[0], true)) return;
        for (std::size_t i = 1; i < cells.size(); ++i) {
            // A column that is a time says when, not what.
            if (names[i].empty() || names[i].find_first_of("0123456789") != std::string_view::npos)
                continue;
            std::string_view attribute = names[i], unit;
            if (const std::size_t open = attribute.find_last_of("([");
                open != std::string_view::npos) {
                unit = attribute.substr(open + 1);
                unit = unit.substr(0, unit.find_first_of(")]"));
                attribute = attribute.substr(0, open);
            }
            while (attribute.ends_with(' ')) attribute.remove_suffix(1);
            std::string value(cells[i]);
            if (!unit.empty()) value += " " + std::string(unit);
            const auto read = read_quantity(value, false);
            if (!read || read->end != value.size()) continue;
            say(cells[0], attribute, "", read->kind, value, read->normal, block.begin, block.end);
        }
    }

    /// What the rules of facts see: of things that have one, without a time of its own.
    void known_facts(std::string_view sentence, std::uint64_t at) {
        constexpr UnixMs kSaid = 1'700'000'000'000;
        facts::ExtractContext context;
        context.said_at_unix_ms = kSaid;
        for (const auto& found : facts::extract(sentence, context)) {
            const facts::Assertion& said = found.assertion;
            // Figures are for the rules above, which know their units.
            if (said.object.find_first_of("0123456789") != std::string::npos) continue;
            if (found.retracts || said.ends || said.cardinality != facts::Cardinality::one ||
                said.valid_to_unix_ms != 0 ||
                (said.valid_from_unix_ms != 0 && said.valid_from_unix_ms != kSaid)) {
                continue;
            }
            say(said.subject, said.predicate, "", Kind::text, said.object, folded(said.object), at,
                at + sentence.size());
        }
    }

    const Parsed& parsed_;
    const std::string_view text_;
    std::set<std::string_view> common_;  ///< words that stand in lower case somewhere
    std::vector<std::pair<std::uint32_t, std::string>> path_;
    std::optional<Block> header_;
    std::vector<StatementRow> rows_;
};

}  // namespace

std::vector<StatementRow> find_statements(const Parsed& parsed) {
    return Finder(parsed).run();
}

std::vector<std::vector<StatementRow>> find_conflicts(std::vector<StatementRow> rows) {
    const auto order = [](const StatementRow& row) {
        return std::tie(row.key, row.kind, row.normal, row.base, row.document, row.begin);
    };
    std::ranges::sort(
        rows, [&](const StatementRow& a, const StatementRow& b) { return order(a) < order(b); });
    std::vector<std::vector<StatementRow>> groups;
    for (auto begin = rows.begin(); begin != rows.end();) {
        const auto end = std::find_if(begin, rows.end(), [&](const StatementRow& row) {
            return row.key != begin->key || row.kind != begin->kind;
        });
        std::vector<bool> disagrees(static_cast<std::size_t>(end - begin));
        for (auto a = begin; a != end; ++a) {
            for (auto b = a + 1; b != end; ++b) {
                const bool apart = a->document != b->document || a->base != b->base;
                if (!apart || agree(a->kind, a->normal, b->normal).value_or(true)) continue;
                disagrees[static_cast<std::size_t>(a - begin)] = true;
                disagrees[static_cast<std::size_t>(b - begin)] = true;
            }
        }
        std::vector<StatementRow> group;
        for (std::size_t i = 0; i < disagrees.size(); ++i) {
            if (disagrees[i]) group.push_back(begin[static_cast<std::ptrdiff_t>(i)]);
        }
        if (!group.empty()) groups.push_back(std::move(group));
        begin = end;
    }
    return groups;
}

}  // namespace memory::knowledge
