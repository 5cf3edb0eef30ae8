#include <fmt/core.h>

#include "base/files/files.h"
#include "base/json/json.h"
#include "corpus.h"
#include "memory/index/tenant_index.h"
#include "memory/text/analyzer.h"

namespace bench {
namespace {

std::vector<base::json::object> lines(const std::string& path) {
    std::vector<base::json::object> out;
    const std::string text = std::move(*base::read_file(path));
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        if (end > at) {
            out.push_back(std::move(*base::parse_json(text.substr(at, end - at))).as_object());
        }
        at = end + 1;
    }
    return out;
}

memory::index::KeywordQuery query_of(std::string_view text) {
    memory::index::KeywordQuery query;
    for (const memory::text::Term& term : memory::text::analyze(text)) {
        if (!term.stop_word) query.terms.push_back({term.text, 1.f});
    }
    return query;
}

std::string identifier(base::Rng& rng) {
    const std::uint64_t n = rng.below(100'000);
    switch (rng.below(5)) {
        case 0:
            return fmt::format("ERR_{}-{}", n, rng.below(100));
        case 1:
            return fmt::format("getUser{}ById", n);
        case 2:
            return fmt::format("v{}.{}.{}", rng.below(300), rng.below(300), rng.below(30));
        case 3:
            return fmt::format("src/mod{}/file_{}.cc", rng.below(3000), rng.below(30));
        default:
            return fmt::format("{:010x}", rng.next() >> 24);
    }
}

}  // namespace

void chinese(const std::string& passages, const std::string& questions) {
    const auto index = memory::index::TenantIndex::make(0, "");
    base::Rng rng(3);
    std::vector<std::string> identifiers;
    std::vector<memory::truth::Change> changes;
    for (const auto& passage : lines(passages)) {
        memory::truth::Change change;
        change.row = change.sequence = passage.at("doc_id").to_number<std::int64_t>() + 1;
        change.entry.content = passage.at("text").as_string();
        changes.push_back(change);
    }
    const std::size_t texts = changes.size();
    // Each of these is in one note among the passages, between Chinese words.
    for (int i = 0; i < 500; ++i) {
        memory::truth::Change change;
        change.row = change.sequence = 1'000'000 + i;
        identifiers.push_back(identifier(rng));
        change.entry.content = "服务器日志里的" + identifiers.back() + "需要检查";
        changes.push_back(change);
    }
    if (!index->apply(changes)) std::abort();
    const auto reader = index->read();
    const auto all = *reader->select({}, 0);
    std::size_t first = 0, fifth = 0, asked = 0, exact = 0;
    for (const auto& question : lines(questions)) {
        const auto hits = reader->keyword(
            query_of(std::string_view(question.at("question").as_string())), *all, 5);
        const std::int64_t right = question.at("doc_id").to_number<std::int64_t>() + 1;
        ++asked;
        for (std::size_t i = 0; i < hits.size(); ++i) {
            if (reader->facts(hits[i].slot).row != right) continue;
            ++fifth;
            first += i == 0 ? 1 : 0;
        }
    }
    for (std::size_t i = 0; i < identifiers.size(); ++i) {
        const auto hits = reader->keyword(query_of("请问" + identifiers[i] + "怎么了"), *all, 1);
        // The same one may have been made twice.
        exact +=
            !hits.empty() && identifiers[static_cast<std::size_t>(std::max<std::int64_t>(
                                 0, reader->facts(hits[0].slot).row - 1'000'000))] == identifiers[i]
                ? 1
                : 0;
    }
    fmt::print(
        "{{\"mode\": \"chinese\", \"passages\": {}, \"questions\": {}, \"R@1\": {:.4f}, \"R@5\": "
        "{:.4f}, \"identifiers\": {}, \"identifiers_first\": {:.4f}}}\n",
        texts, asked, static_cast<double>(first) / static_cast<double>(asked),
        static_cast<double>(fifth) / static_cast<double>(asked), identifiers.size(),
        static_cast<double>(exact) / static_cast<double>(identifiers.size()));
}

}  // namespace bench
