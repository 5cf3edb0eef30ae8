// Checks of what is written, and the expression over metadata.
#include "memory/entry.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/core/utf8.h"
#include "memory/filter.h"
#include "support/seeds.h"

namespace memory {
namespace {

namespace json = base::json;
using base::Code;

NewEntry good() {
    return {.scope = {.tenant = "t"}, .content = "Ann likes tea"};
}

/// The field that an entry is refused for; "" where it is taken.
std::string refused(const NewEntry& entry, std::uint32_t dims = 3) {
    const auto checked = check_entry(
        entry, {.content_bytes_max = 100, .metadata_bytes_max = 200, .embedding_dims = dims});
    if (checked) return "";
    EXPECT_EQ(checked.error().code, Code::invalid_argument);
    EXPECT_NE(checked.error().message.find(checked.error().subject), std::string::npos);
    return checked.error().subject;
}

template <class Change>
std::string refused_with(Change change) {
    NewEntry entry = good();
    change(entry);
    return refused(entry);
}

TEST(CheckEntry, NamesTheFieldAtFault) {
    EXPECT_EQ(refused(good()), "");
    EXPECT_EQ(refused_with([](auto& e) { e.scope.tenant = ""; }), "scope.tenant");
    EXPECT_EQ(refused_with([](auto& e) { e.scope.user = std::string(257, 'x'); }), "scope.user");
    EXPECT_EQ(refused_with([](auto& e) { e.scope.session = "\xff"; }), "scope.session");
    EXPECT_EQ(refused_with([](auto& e) { e.content = ""; }), "content");
    EXPECT_EQ(refused_with([](auto& e) { e.content = std::string(101, 'x'); }), "content");
    EXPECT_EQ(refused_with([](auto& e) { e.content = "a\xc3"; }), "content");
    EXPECT_EQ(refused_with([](auto& e) { e.content = std::string("a\0b", 3); }), "content");
    EXPECT_EQ(refused_with([](auto& e) { e.speaker = "\xed\xa0\x80"; }), "speaker");
    EXPECT_EQ(refused_with([](auto& e) { e.media.uri = std::string(5'000, 'u'); }), "media.uri");
    EXPECT_EQ(refused_with([](auto& e) { e.importance = std::nanf(""); }), "importance");
    EXPECT_EQ(refused_with([](auto& e) { e.importance = 1.01f; }), "importance");
    EXPECT_EQ(refused_with([](auto& e) { e.ttl_ms = -1; }), "ttl_ms");
    EXPECT_EQ(refused_with([](auto& e) { e.created_unix_ms = INT64_MAX; }), "created_unix_ms");
    EXPECT_EQ(refused_with([](auto& e) { e.valid_from_unix_ms = 5, e.valid_to_unix_ms = 5; }),
              "valid_to_unix_ms");
    EXPECT_EQ(refused_with([](auto& e) { e.embedding = {1, 2}; }), "embedding");
    EXPECT_EQ(refused_with([](auto& e) { e.embedding = {1, 2, std::nanf("")}; }), "embedding");
    EXPECT_EQ(refused_with([](auto& e) {
                  e.embedding = {1, 2, std::numeric_limits<float>::infinity()};
              }),
              "embedding");
    EXPECT_EQ(refused_with([](auto& e) { e.embedding = {1, 2, 70'000.f}; }), "embedding");
    EXPECT_EQ(refused_with([](auto& e) { e.embedding = {1, 2, 3}; }), "");
    EXPECT_EQ(refused_with([](auto& e) { e.metadata["x"] = std::string(300, 'x'); }), "metadata");
    EXPECT_EQ(refused_with([](auto& e) { e.metadata["x"] = std::nan(""); }), "metadata");
    EXPECT_EQ(refused_with([](auto& e) { e.metadata["x"] = json::array{"\xff"}; }), "metadata");
    EXPECT_EQ(refused_with([](auto& e) { e.sources = {{.source = "d", .begin = 2, .end = 1}}; }),
              "sources");
    EXPECT_EQ(refused_with([](auto& e) { e.idempotency_key = std::string(300, 'k'); }),
              "idempotency_key");
    NewEntry embedded = good();
    embedded.embedding = {1};
    EXPECT_EQ(refused(embedded, 0), "embedding");
}

TEST(CheckEntry, TakesOrRefusesAnyBytes) {
    test::for_each_seed(2'000, [](base::Rng& rng) {
        NewEntry entry = good();
        for (std::string* text : {&entry.content, &entry.speaker, &entry.scope.run}) {
            text->resize(rng.below(12));
            for (char& c : *text) c = static_cast<char>(rng.below(256));
        }
        const std::string field = refused(entry);
        if (field.empty()) {
            EXPECT_EQ(base::utf8_valid_prefix_bytes(entry.content), entry.content.size());
        }
    });
}

TEST(MemoryTypes, NamesReadBack) {
    for (std::size_t i = 0; i < kMemoryTypes; ++i) {
        const auto type = static_cast<MemoryType>(i);
        EXPECT_EQ(memory_type_of(memory_type_name(type)), type);
    }
    EXPECT_FALSE(memory_type_of("Episodic"));
}

bool holds(std::string_view expression, std::string_view metadata) {
    const auto parsed = parse_metadata_expression(expression);
    EXPECT_TRUE(parsed) << expression << ": " << parsed.error().message;
    return parsed && matches(*parsed, base::parse_json(metadata)->as_object());
}

TEST(MetadataExpressions, MeanWhatTheySay) {
    constexpr auto kData = R"({"topic": "billing", "priority": 2, "tags": ["a", 7], "big":
        18446744073709551615, "deep": {"er": {"x": null}}, "done": true, "ratio": 0.5})";
    for (const auto* yes : {R"(topic = "billing")",
                            R"(topic == "billing" and priority >= 2)",
                            "priority < 2.5",
                            "priority = 2.0",
                            "not priority > 2",
                            R"(tags contains "a")",
                            "tags contains 7.0",
                            R"(topic contains "ill")",
                            R"(topic in ["x", "billing"])",
                            "exists(deep.er.x)",
                            "deep.er.x = null",
                            "done = true",
                            "big > 9223372036854775807",
                            "ratio <= 5e-1",
                            R"(topic != "x")",
                            R"(topic = "x" or topic = "y" or done = true)",
                            R"((topic = "x" or done = true) and not (priority = 3))",
                            R"(topic > "bill")",
                            R"(not exists(owner) and not (owner = "x"))",
                            "priority = 2 and not done = false"}) {
        EXPECT_TRUE(holds(yes, kData)) << yes;
    }
    for (const auto* no : {R"(owner = "x")", R"(owner != "x")", R"(not topic = "billing")",
                           R"(priority = "2")", R"(topic < 5)", "done = 1", R"(tags = "a")",
                           R"(tags contains "b")", R"(topic = "x" or topic = "y" and done = true)",
                           "deep.er.x.y = null", R"(topic in [])"}) {
        if (std::string_view(no).find("[]") != std::string_view::npos) {
            EXPECT_FALSE(parse_metadata_expression(no));
            continue;
        }
        EXPECT_FALSE(holds(no, kData)) << no;
    }
}

TEST(MetadataExpressions, FaultsNameTheColumn) {
    const auto column = [](std::string_view text) {
        const auto parsed = parse_metadata_expression(text);
        EXPECT_FALSE(parsed) << text;
        const std::string& message = parsed.error().message;
        EXPECT_EQ(parsed.error().code, Code::invalid_argument);
        return std::atoi(message.c_str() + message.find("column ") + 7);
    };
    EXPECT_EQ(column(""), 1);
    EXPECT_EQ(column("é = x"), 5);
    EXPECT_EQ(column("a = 1 b"), 7);
    EXPECT_EQ(column("a ="), 4);
    EXPECT_EQ(column("a = 1 and"), 10);
    EXPECT_EQ(column("(a = 1"), 7);
    EXPECT_EQ(column("a..b = 1"), 1);
    EXPECT_EQ(column("a ~ 1"), 3);
    EXPECT_EQ(column("a = {\"x\": 1}"), 5);
    std::string terms = "a = 1", levels = "a = 1";
    for (int i = 0; i < 64; ++i) terms += " or a = 1";
    for (int i = 0; i < 16; ++i) levels = "(" + levels + ")";
    EXPECT_FALSE(parse_metadata_expression(terms));
    EXPECT_FALSE(parse_metadata_expression(levels));
}

TEST(MetadataExpressions, AnyTextParsesOrFails) {
    constexpr std::string_view kParts[] = {"a",        "b.c",  "=",  "!=", "<",        "(",
                                           ")",        "in",   "[",  "]",  "contains", "exists",
                                           "not",      "and",  "or", "1",  "-2.",      "\"x\"",
                                           "\"\\u00e", "null", ",",  " ",  "\xff"};
    const json::object metadata{{"a", 1}, {"b", json::object{{"c", "x"}}}};
    int parsed = 0;
    test::for_each_seed(20'000, [&](base::Rng& rng) {
        std::string text;
        for (std::uint64_t n = rng.below(12); n > 0; --n) {
            text += kParts[rng.below(std::size(kParts))];
            text += rng.below(4) == 0 ? "" : " ";
        }
        if (const auto expression = parse_metadata_expression(text)) {
            ++parsed;
            static_cast<void>(matches(*expression, metadata));
        }
    });
    EXPECT_GT(parsed, 5);
}

TEST(Filters, CheckEveryField) {
    Entry entry;
    entry.scope = {.tenant = "t", .user = "u", .session = "s"};
    entry.created_unix_ms = 100;
    entry.valid_from_unix_ms = 100;
    entry.valid_to_unix_ms = 200;
    entry.expires_unix_ms = 500;
    const auto passes = [&](auto change, UnixMs now = 300) {
        Filter filter{.scope = {.tenant = "t"}};
        change(filter);
        return matches(filter, entry, now);
    };
    EXPECT_TRUE(passes([](Filter&) {}));
    EXPECT_FALSE(passes([](Filter& f) { f.scope.tenant = "u"; }));
    EXPECT_TRUE(passes([](Filter& f) { f.scope.user = "u"; }));
    EXPECT_FALSE(passes([](Filter& f) { f.scope.run = "r"; }));
    EXPECT_FALSE(passes([](Filter& f) { f.types = {MemoryType::episodic}; }));
    EXPECT_TRUE(passes([](Filter& f) { f.created = {100, 101}; }));
    EXPECT_FALSE(passes([](Filter& f) { f.created = {0, 100}; }));
    EXPECT_TRUE(passes([](Filter& f) { f.valid = {199, 300}; }));
    EXPECT_FALSE(passes([](Filter& f) { f.valid = {200, 300}; }));
    EXPECT_FALSE(passes([](Filter& f) { f.importance_min = .6f; }));
    EXPECT_FALSE(passes([](Filter& f) { f.pinned = true; }));
    EXPECT_FALSE(passes([](Filter&) {}, 500));
    EXPECT_TRUE(passes([](Filter& f) { f.expired_too = true; }, 500));
    entry.pinned = true;
    EXPECT_TRUE(passes([](Filter&) {}, 500));
    entry.metadata["labels"] = json::array{"hr", "board"};
    EXPECT_FALSE(passes([](Filter&) {}));
    EXPECT_FALSE(passes([](Filter& f) { f.labels = {"it"}; }));
    EXPECT_TRUE(passes([](Filter& f) { f.labels = {"it", "board"}; }));
    entry.metadata["labels"] = 7;
    EXPECT_FALSE(passes([](Filter& f) { f.labels = {"it", "7"}; }));
}

}  // namespace
}  // namespace memory
