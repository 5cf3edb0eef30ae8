#include "sphere/audit/redactor.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <set>

#include "base/json/json_text.h"

namespace sphere::audit {
namespace {

constexpr std::string_view kStandard =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrl =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The characters of base64 that depend on `value` alone when it begins `skip` bytes into a group
/// of three: what is sought in a text that was encoded with something before and after it.
std::string base64_core(std::string_view value, std::size_t skip, std::string_view alphabet) {
    std::string out;
    const std::size_t bits_before = skip * 8;
    const std::size_t bits_end = bits_before + value.size() * 8;
    for (std::size_t at = (bits_before + 5) / 6 * 6; at + 6 <= bits_end; at += 6) {
        unsigned digit = 0;
        for (std::size_t bit = at; bit < at + 6; ++bit) {
            const std::size_t of_value = bit - bits_before;
            const auto byte = static_cast<unsigned char>(value[of_value / 8]);
            digit = digit << 1 | (byte >> (7 - of_value % 8) & 1u);
        }
        out += alphabet[digit];
    }
    return out;
}

std::string hex(std::string_view value, std::string_view digits) {
    std::string out;
    for (const char c : value) {
        out += digits[static_cast<unsigned char>(c) >> 4];
        out += digits[static_cast<unsigned char>(c) & 15];
    }
    return out;
}

bool unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

std::string percent(std::string_view value, bool plus, std::string_view digits) {
    std::string out;
    for (const char c : value) {
        if (unreserved(c)) {
            out += c;
        } else if (plus && c == ' ') {
            out += '+';
        } else {
            out += '%' + hex({&c, 1}, digits);
        }
    }
    return out;
}

std::set<std::string> forms_of(std::string_view value) {
    constexpr std::string_view kLower = "0123456789abcdef", kUpper = "0123456789ABCDEF";
    std::set<std::string> forms{std::string(value), hex(value, kLower), hex(value, kUpper)};
    for (const bool plus : {false, true}) {
        forms.insert(percent(value, plus, kLower));
        forms.insert(percent(value, plus, kUpper));
    }
    for (const std::size_t skip : {0, 1, 2}) {
        forms.insert(base64_core(value, skip, kStandard));
        forms.insert(base64_core(value, skip, kUrl));
    }
    std::string escaped;
    base::append_json_escaped(escaped, value);
    forms.insert(escaped);
    return forms;
}

}  // namespace

base::Result<Redactor> Redactor::create(const std::vector<Secret>& secrets) {
    Redactor redactor;
    for (const Secret& secret : secrets) {
        if (secret.value.size() < kValueBytesMin) {
            return base::fail_on(secret.name, base::Code::invalid_argument,
                                 "secret {} has {} bytes, at least {} are needed to find it again "
                                 "in the audit log; use a longer one",
                                 secret.name, secret.value.size(), kValueBytesMin);
        }
        const auto index = static_cast<std::uint32_t>(redactor.names_.size());
        redactor.names_.push_back(secret.name);
        for (const std::string& form : forms_of(secret.value)) redactor.add(form, index);
    }
    redactor.link();
    return redactor;
}

void Redactor::add(std::string_view pattern, std::uint32_t secret) {
    for (const char c : pattern) {
        std::uint16_t& of = class_of_[static_cast<unsigned char>(c)];
        if (of == 0) of = static_cast<std::uint16_t>(classes_++);
    }
    patterns_.push_back({pattern.size(), secret});
    texts_.emplace_back(pattern);
}

void Redactor::link() {
    next_.assign(classes_, 0);
    longest_.assign(1, -1);
    depth_.assign(1, 0);
    for (std::size_t p = 0; p < texts_.size(); ++p) {
        std::size_t state = 0;
        for (const char c : texts_[p]) {
            const std::size_t slot = state * classes_ + class_of_[static_cast<unsigned char>(c)];
            if (next_[slot] == 0) {
                next_[slot] = static_cast<std::uint32_t>(longest_.size());
                next_.resize(next_.size() + classes_, 0);
                longest_.push_back(-1);
                depth_.push_back(depth_[state] + 1);
            }
            state = next_[slot];
        }
        longest_[state] = static_cast<std::int32_t>(p);
    }
    texts_.clear();
    // Breadth first: a state's failure link is nearer to the root and already complete, so that a
    // missing edge can be filled in with where the failure link leads.
    std::vector<std::uint32_t> fallback(longest_.size(), 0);
    std::deque<std::uint32_t> queue;
    for (std::size_t c = 0; c < classes_; ++c) {
        if (next_[c] != 0) queue.push_back(next_[c]);
    }
    while (!queue.empty()) {
        const std::uint32_t state = queue.front();
        queue.pop_front();
        if (longest_[state] < 0) longest_[state] = longest_[fallback[state]];
        for (std::size_t c = 0; c < classes_; ++c) {
            std::uint32_t& to = next_[state * classes_ + c];
            const std::uint32_t other = next_[fallback[state] * classes_ + c];
            if (to == 0) {
                to = other;
            } else {
                fallback[to] = other;
                queue.push_back(to);
            }
        }
    }
}

std::string Redactor::apply(std::string_view text) const {
    if (patterns_.empty()) return std::string(text);
    std::string out;
    std::size_t state = 0;
    std::size_t copied = 0;          // text[0, copied) is in `out`, as it is or as a name
    std::size_t begin = 0, end = 0;  // the hit that is still growing; none when empty
    std::uint32_t secret = 0;
    const auto flush = [&] {
        if (begin == end) return;
        out.append(text.substr(copied, begin - copied));
        out += fmt::format("[secret:{}]", names_[secret]);
        copied = end;
        begin = end;
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        state = next_[state * classes_ + class_of_[static_cast<unsigned char>(text[i])]];
        const std::int32_t hit = longest_[state];
        if (hit < 0) continue;
        const Pattern& pattern = patterns_[static_cast<std::size_t>(hit)];
        const std::size_t from = std::max(i + 1 - pattern.bytes, copied);
        if (begin != end && from > end) flush();
        if (begin == end) {
            begin = std::max(from, copied);
            secret = pattern.secret;
        } else {
            begin = std::min(begin, from);
        }
        end = i + 1;
    }
    flush();
    out.append(text.substr(copied));
    return out;
}

void Redactor::Mask::feed(std::string_view bytes, std::string& out) {
    if (redactor_.empty()) {
        out += bytes;
        return;
    }
    for (const char c : bytes) {
        held_ += c;
        state_ = redactor_.next_[state_ * redactor_.classes_ +
                                 redactor_.class_of_[static_cast<unsigned char>(c)]];
        const std::int32_t hit = redactor_.longest_[state_];
        if (hit < 0) continue;
        const std::size_t length = redactor_.patterns_[static_cast<std::size_t>(hit)].bytes;
        std::fill(held_.end() - static_cast<std::ptrdiff_t>(length), held_.end(), '*');
    }
    // What the automaton may still need is as long as its state is deep.
    const std::size_t ready = held_.size() - redactor_.depth_[state_];
    out.append(held_, 0, ready);
    held_.erase(0, ready);
}

void Redactor::Mask::finish(std::string& out) {
    out += held_;
    held_.clear();
    state_ = 0;
}

}  // namespace sphere::audit
