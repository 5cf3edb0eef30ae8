#include "memory/forget/subject.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/core/utf8.h"

namespace memory::forget {
namespace {

bool is_ascii(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return (c & 0x80) == 0; });
}

/// As normal_name folds a name; most texts need no table for it.
std::string folded(std::string_view text) {
    if (!is_ascii(text)) return facts::normal_name(text);
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        const bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        if (!space) {
            out += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
        } else if (out.empty() || out.back() != ' ') {
            out += ' ';
        }
    }
    return out;
}

/// Scripts that write words without spaces between them.
bool runs_on(char32_t code) {
    return (code >= 0x0E00 && code <= 0x0EFF) || (code >= 0x3040 && code <= 0x30FF) ||
           (code >= 0x3400 && code <= 0x9FFF) || (code >= 0x20000 && code <= 0x3FFFF);
}

bool in_word(char32_t code) {
    if (code < 0x80) {
        return (code >= '0' && code <= '9') || ((code | 0x20) >= 'a' && (code | 0x20) <= 'z') ||
               code == '_';
    }
    switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
        case UTF8PROC_CATEGORY_LU:
        case UTF8PROC_CATEGORY_LL:
        case UTF8PROC_CATEGORY_LT:
        case UTF8PROC_CATEGORY_LM:
        case UTF8PROC_CATEGORY_LO:
        case UTF8PROC_CATEGORY_MN:
        case UTF8PROC_CATEGORY_MC:
        case UTF8PROC_CATEGORY_ND:
            return true;
        default:
            return false;
    }
}

/// Whether a word goes on between two characters.
bool joined(char32_t left, char32_t right) {
    return in_word(left) && in_word(right) && !runs_on(left) && !runs_on(right);
}

char32_t before(std::string_view text, std::size_t at) {
    while (at > 0) {
        --at;
        if ((text[at] & 0xC0) != 0x80) return base::utf8_at(text, at).code;
    }
    return 0;
}
char32_t after(std::string_view text, std::size_t at) {
    return at < text.size() ? base::utf8_at(text, at).code : 0;
}

bool has_word(std::string_view text, std::string_view name) {
    for (std::size_t at = text.find(name); at != std::string_view::npos;
         at = text.find(name, at + 1)) {
        const std::size_t end = at + name.size();
        if (!joined(before(text, at), after(text, at)) &&
            !joined(before(text, end), after(text, end)))
            return true;
    }
    return false;
}

}  // namespace

Subject::Subject(std::string_view name, const std::vector<facts::Assertion>& said,
                 const std::vector<std::pair<std::string, std::string>>& aliases) {
    std::set<std::string> known;
    for (const facts::Assertion& one : said) {
        known.insert(facts::normal_name(one.subject));
        known.insert(facts::normal_name(one.object));
        if (one.retracted_unix_ms == 0) resolver_.use(facts::normal_name(one.subject));
    }
    for (const auto& [alias, of] : aliases) {
        resolver_.alias(alias, of);
        known.insert(alias);
        known.insert(of);
    }
    const std::string asked = facts::normal_name(name);
    meant_ = resolver_.resolve(asked, true);
    known.insert(asked);
    known.insert(meant_);
    known.insert(meant_.substr(0, meant_.find(' ')));
    for (const std::string& one : known) {
        if (!one.empty() && resolver_.resolve(one, true) == meant_) names_.insert(one);
    }
}

bool Subject::is(std::string_view name) const {
    return !name.empty() && names_.contains(facts::normal_name(name));
}

bool Subject::named_in(std::string_view text) const {
    if (text.empty()) return false;
    const std::string in = folded(text);
    return std::ranges::any_of(names_, [&](const std::string& name) { return has_word(in, name); });
}

}  // namespace memory::forget
