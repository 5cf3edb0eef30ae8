// The main text of saved news pages: bench_memory_articles FOLDER [-v]
//
// FOLDER has html/*.html.gz and ground-truth.json.gz with an "articleBody" each. 4-grams of words
// as multisets, each page counted as one, as scrapinghub/article-extraction-benchmark does. -v: a
// line a page.
#include <fmt/core.h>
#include <zlib.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/core/utf8.h"
#include "base/json/json.h"
#include "memory/knowledge/parse/parse.h"

namespace {

std::string unzipped(const std::string& path) {
    gzFile file = ::gzopen(path.c_str(), "rb");
    std::string out;
    char part[1 << 16];
    for (int got = 0; file != nullptr && (got = ::gzread(file, part, sizeof(part))) > 0;) {
        out.append(part, static_cast<std::size_t>(got));
    }
    if (file != nullptr) ::gzclose(file);
    return out;
}

bool is_word(char32_t c) {
    if (c < 0x80) return (c | 32) - 'a' < 26u || c - '0' < 10u || c == '_';
    return c >= 0xC0 && c != 0xD7 && c != 0xF7 && !(c >= 0x2000 && c < 0x2070) &&
           !(c >= 0x3000 && c < 0x3040) && !(c >= 0xFF00 && c < 0xFF10);
}

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words(1);
    for (std::size_t at = 0; at < text.size();) {
        const base::Utf8Char c = base::utf8_at(text, at);
        if (c.valid && is_word(c.code)) {
            words.back() += text.substr(at, c.bytes);
        } else if (!words.back().empty()) {
            words.emplace_back();
        }
        at += c.bytes;
    }
    if (words.back().empty()) words.pop_back();
    return words;
}

std::map<std::string, int> shingles_of(std::string_view text) {
    const std::vector<std::string> words = words_of(text);
    std::map<std::string, int> out;
    constexpr std::size_t kLength = 4;
    for (std::size_t i = 0; i + std::min(kLength, words.size()) <= words.size(); ++i) {
        std::string shingle;
        for (std::size_t k = i; k < std::min(i + kLength, words.size()); ++k) {
            shingle += words[k] + " ";
        }
        ++out[shingle];
        if (words.size() <= kLength) break;
    }
    return out;
}

struct Counts {
    double right = 0, besides = 0, missed = 0;
};

Counts compare(const std::map<std::string, int>& wanted, const std::map<std::string, int>& got) {
    Counts c;
    for (const auto& [shingle, n] : wanted) {
        const auto found = got.find(shingle);
        const int have = found == got.end() ? 0 : found->second;
        c.right += std::min(n, have);
        c.missed += std::max(0, n - have);
    }
    for (const auto& [shingle, n] : got) {
        const auto found = wanted.find(shingle);
        c.besides += std::max(0, n - (found == wanted.end() ? 0 : found->second));
    }
    const double all = c.right + c.besides + c.missed;
    if (all > 0) c = {c.right / all, c.besides / all, c.missed / all};
    return c;
}

double f1(const Counts& c) {
    return 2 * c.right / std::max(1e-9, 2 * c.right + c.besides + c.missed);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        fmt::print(stderr, "usage: bench_memory_articles FOLDER [-v]\n");
        return 2;
    }
    const std::string folder = argv[1];
    const auto truth = base::json::parse(unzipped(folder + "/ground-truth.json.gz")).as_object();
    Counts sum;
    std::size_t pages = 0;
    double seconds = 0;
    for (const auto& [name, value] : truth) {
        const std::string html = unzipped(folder + "/html/" + std::string(name) + ".html.gz");
        if (html.empty()) continue;
        const auto begin = std::chrono::steady_clock::now();
        const auto parsed = memory::knowledge::parse::parse_html(html, {});
        seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        const std::string text = parsed ? parsed->text : "";
        const auto& body = value.as_object().at("articleBody").as_string();
        const Counts c = compare(shingles_of(std::string_view(body)), shingles_of(text));
        if (argc > 2) {
            fmt::print("{:.3f}  +{:.3f} -{:.3f}  {}\n", f1(c), c.besides, c.missed,
                       std::string_view(name).substr(0, 12));
        }
        sum.right += c.right;
        sum.besides += c.besides;
        sum.missed += c.missed;
        ++pages;
    }
    fmt::print(
        "{{\"pages\": {}, \"f1\": {:.4f}, \"precision\": {:.4f}, \"recall\": {:.4f}, "
        "\"pages_per_s\": {:.0f}}}\n",
        pages, f1(sum), sum.right / (sum.right + sum.besides), sum.right / (sum.right + sum.missed),
        static_cast<double>(pages) / seconds);
}
