#include "memory/knowledge/knowledge.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <set>
#include <thread>

#include "../documents.h"
#include "base/core/rng.h"
#include "memory/embed/hashed_ngrams.h"
#include "memory/memory.h"
#include "support/manual_clock.h"
#include "support/seeds.h"
#include "support/temp_dir.h"

namespace test {
namespace {

using base::Code;
using memory::knowledge::Found;
using memory::knowledge::Labels;
using memory::knowledge::NewDocument;
using memory::knowledge::Stored;
using testing::ElementsAre;
using testing::HasSubstr;

class KnowledgeTest : public testing::Test {
protected:
    void SetUp() override { open(); }
    void open() {
        store.reset();
        memory::StoreOptions options;
        options.location = dir.file("store");
        options.shards = 2;
        auto opened = memory::MemoryStore::open(options, nullptr, clock);
        ASSERT_TRUE(opened) << opened.error().message;
        store = std::move(*opened);
    }
    memory::knowledge::KnowledgeBases& bases() { return store->knowledge(); }

    Stored put(std::string_view name, std::string_view text, const Labels& labels = {},
               std::string_view base = "b") {
        NewDocument document;
        document.base = base;
        document.id = name;
        document.name = std::string(name) + ".md";
        document.bytes = text;
        document.labels = labels;
        auto stored = bases().put("t", document, labels);
        EXPECT_TRUE(stored) << stored.error().message;
        return stored ? *stored : Stored{};
    }
    Found find(std::string_view text, const Labels& held = {}, std::string_view base = "") {
        memory::knowledge::Question question;
        question.tenant = "t";
        question.base = base;
        question.text = text;
        question.labels = held;
        auto found = bases().search(question);
        EXPECT_TRUE(found) << found.error().message;
        return found ? *found : Found{};
    }

    TempDir dir;
    ManualClock clock;
    std::unique_ptr<memory::MemoryStore> store;
};

TEST_F(KnowledgeTest, WhatADocumentSaysIsFoundWithItsPageAndPlace) {
    NewDocument document;
    document.base = "handbook";
    document.uri = "https://example.com/leave.pdf";
    document.name = "leave.pdf";
    document.bytes = pdf_of({{"1 Holidays", "Staff get 25 days a year."},
                             {"2 Parents", "Parental leave lasts 14 weeks."}});
    const auto stored = bases().put("t", document, {});
    ASSERT_TRUE(stored) << stored.error().message;
    EXPECT_EQ(stored->how, Stored::How::added);
    EXPECT_EQ(stored->document.pages, 2u);

    const Found found = find("how long is parental leave");
    ASSERT_FALSE(found.passages.empty());
    const auto& best = found.passages[0];
    EXPECT_EQ(best.at.page, 2u);
    EXPECT_EQ(best.at.document, stored->document.id);
    EXPECT_EQ(best.at.uri, document.uri);
    EXPECT_THAT(best.at.section, ElementsAre("2 Parents"));
    const auto text = bases().text("t", "handbook", stored->document.id, {});
    ASSERT_TRUE(text);
    EXPECT_EQ(text->substr(best.at.begin, best.at.end - best.at.begin), best.text);
    EXPECT_THAT(best.text, HasSubstr("14 weeks"));

    const auto detail = bases().get("t", "handbook", stored->document.id, {});
    ASSERT_TRUE(detail);
    ASSERT_EQ(detail->outline.size(), 2u);
    EXPECT_EQ(detail->outline[1].title, "2 Parents");
    EXPECT_EQ(detail->outline[1].page, 2u);
    EXPECT_EQ(detail->page_begins.size(), 2u);
}

TEST_F(KnowledgeTest, PassagesAreNoMemoriesOfTheTenant) {
    put("d", "# Secret\n\nThe vault holds the key.");
    memory::Query query;
    query.text = "vault";
    query.filter.scope.tenant = "t";
    EXPECT_TRUE(store->search(query)->hits.empty());
    EXPECT_FALSE(find("vault").passages.empty());
}

TEST_F(KnowledgeTest, WhatStayedTheSameKeepsItsIdWhenADocumentIsReplaced) {
    const std::string first = "# A\n\nOne about apples.\n\n# B\n\nTwo about pears.\n";
    put("d", first);
    const auto apples = find("apples").passages.at(0).id;
    EXPECT_EQ(put("d", first).how, Stored::How::unchanged);
    const Stored again =
        put("d", "A preface.\n\n# A\n\nOne about apples.\n\n# B\n\nTwo about plums.\n");
    EXPECT_EQ(again.how, Stored::How::replaced);
    EXPECT_EQ(again.passages_kept, 1u);
    EXPECT_EQ(again.passages_added, 2u);
    EXPECT_EQ(again.passages_removed, 1u);
    EXPECT_EQ(again.document.version, 2u);
    const auto moved = find("apples").passages.at(0);
    EXPECT_EQ(moved.id, apples);
    const auto text = *bases().text("t", "b", "d", {});
    EXPECT_EQ(text.substr(moved.at.begin, moved.at.end - moved.at.begin), moved.text);
    for (const auto& passage : find("pears").passages) {
        EXPECT_EQ(passage.text.find("pears"), std::string::npos);
    }
    open();
    EXPECT_EQ(find("apples").passages.at(0).id, apples);
}

TEST_F(KnowledgeTest, ARemovedDocumentIsGoneEverywhere) {
    put("d", "# A\n\nApples are red.");
    put("e", "# E\n\nPears are green.");
    ASSERT_TRUE(bases().remove("t", "b", "d", {}));
    EXPECT_FALSE(bases().get("t", "b", "d", {}));
    EXPECT_EQ(bases().remove("t", "b", "d", {}).error().code, Code::not_found);
    for (const auto& passage : find("apples red").passages) EXPECT_EQ(passage.at.document, "e");
    EXPECT_EQ(bases().bases("t", {})->at(0).documents, 1u);
}

TEST_F(KnowledgeTest, ABaseThatIsNotThereIsSaidAndOneThatSaysNothingIsNot) {
    put("d", "# Kept\n\nApples are red.");
    put("e", "# Hidden\n\nPears are green.", {"hr"}, "closed");
    const auto code = [&](std::string_view base, const Labels& held) -> std::optional<Code> {
        const auto found = bases().search(
            {.tenant = "t", .base = std::string(base), .text = "zebra crossing", .labels = held});
        return found ? std::nullopt : std::optional(found.error().code);
    };
    EXPECT_EQ(code("b", {}), std::nullopt);
    EXPECT_EQ(code("", {}), std::nullopt);
    EXPECT_EQ(code("nowhere", {}), Code::not_found);
    // Whoever may not see its documents is told the same.
    EXPECT_EQ(code("closed", {}), Code::not_found);
    EXPECT_EQ(code("closed", {"hr"}), std::nullopt);
}

TEST_F(KnowledgeTest, ADocumentIsReplacedByItsUri) {
    NewDocument document;
    document.base = "b";
    document.uri = "file:///a.txt";
    document.bytes = "first text";
    const auto first = bases().put("t", document, {});
    document.bytes = "second text";
    const auto second = bases().put("t", document, {});
    ASSERT_TRUE(second);
    EXPECT_EQ(second->document.id, first->document.id);
    EXPECT_EQ(second->how, Stored::How::replaced);
    document.id = "other";
    EXPECT_EQ(bases().put("t", document, {}).error().code, Code::already_exists);
}

TEST_F(KnowledgeTest, BadDocumentsLeaveNothing) {
    NewDocument document;
    document.base = "b";
    document.bytes = "%PDF-1.7 broken";
    EXPECT_EQ(bases().put("t", document, {}).error().code, Code::invalid_argument);
    document.bytes = "text";
    document.metadata = {{"labels", "x"}};
    EXPECT_EQ(bases().put("t", document, {}).error().code, Code::invalid_argument);
    document.metadata = {};
    document.base = "a\nb";
    EXPECT_EQ(bases().put("t", document, {}).error().code, Code::invalid_argument);
    EXPECT_TRUE(bases().bases("t", {})->empty());
}

TEST_F(KnowledgeTest, ConflictsNameBothPlaces) {
    put("old", "The weight of the X200 is 3.5 kg.\n\nAcme was founded in 1998.");
    put("new", "The X200's weight is 3900 g.\n\nAcme was founded in 1998 in Bern.");
    put("same", "The weight of the X200 is 3500 g.");
    const auto conflicts = bases().conflicts("t", "", {}, 10);
    ASSERT_TRUE(conflicts);
    ASSERT_EQ(conflicts->size(), 1u);
    const auto& conflict = conflicts->at(0);
    EXPECT_EQ(conflict.attribute, "weight");
    std::set<std::string> documents;
    for (const auto& statement : conflict.statements) {
        documents.insert(statement.at.document);
        const auto text = *bases().text("t", "b", statement.at.document, {});
        EXPECT_EQ(text.substr(statement.at.begin, statement.at.end - statement.at.begin),
                  statement.quote);
    }
    EXPECT_EQ(documents, (std::set<std::string>{"new", "old", "same"}));
}

TEST_F(KnowledgeTest, TenantsShareNothing) {
    put("d", "# A\n\nApples are red.");
    memory::knowledge::Question question;
    question.tenant = "u";
    question.text = "apples";
    EXPECT_TRUE(bases().search(question)->passages.empty());
    EXPECT_TRUE(bases().bases("u", {})->empty());
    EXPECT_EQ(bases().get("u", "b", "d", {}).error().code, Code::not_found);
}

TEST_F(KnowledgeTest, NoCallShowsWhatTheCallersLabelsDoNotOpen) {
    const std::vector<std::string> all = {"hr", "legal", "ops", "lab"};
    const std::vector<std::string> topics = {"salary", "contract", "server", "sample", "holiday"};
    for_each_seed(6, [&](base::Rng& rng) {
        open();
        std::map<std::string, Labels> needed;
        const std::string base = fmt::format("base{}", rng.below(1000));
        for (int step = 0; step < 40; ++step) {
            const std::string id = fmt::format("doc{}", rng.below(8));
            if (rng.below(4) != 0) {
                Labels labels;
                for (const auto& label : all) {
                    if (rng.below(3) == 0) labels.push_back(label);
                }
                NewDocument document;
                document.base = base;
                document.id = id;
                document.name = "a.md";
                document.labels = labels;
                document.bytes = fmt::format(
                    "# {} of {}\n\nThe {} marker{} is here.\n\nThe length of the Z{} is {} m.",
                    topics[rng.below(topics.size())], id, topics[rng.below(topics.size())],
                    rng.below(100), rng.below(3), 1 + rng.below(900));
                ASSERT_TRUE(bases().put("t", document, all));
                needed[id] = labels;
            } else if (bases().remove("t", base, id, all)) {
                needed.erase(id);
            }
            Labels held;
            for (const auto& label : all) {
                if (rng.below(2) == 0) held.push_back(label);
            }
            const auto may = [&](const std::string& document) {
                const Labels& of = needed.at(document);
                return of.empty() || std::ranges::any_of(of, [&](const std::string& label) {
                           return std::ranges::find(held, label) != held.end();
                       });
            };
            std::uint64_t visible = 0;
            for (const auto& [document, labels] : needed) visible += may(document);
            std::set<std::string> shown;
            for (const auto& passage : find(topics[rng.below(topics.size())], held).passages) {
                if (passage.at.base != base) continue;
                EXPECT_TRUE(may(passage.at.document)) << passage.text;
                for (const auto& also : passage.also) EXPECT_TRUE(may(also.document));
            }
            const auto page = bases().list("t", base, held, 1000);
            ASSERT_TRUE(page);
            EXPECT_EQ(page->documents.size(), visible);
            for (const auto& document : page->documents) EXPECT_TRUE(may(document.id));
            std::uint64_t counted = 0;
            const auto infos = bases().bases("t", held);
            ASSERT_TRUE(infos);
            for (const auto& info : *infos) {
                if (info.name == base) counted = info.documents;
            }
            EXPECT_EQ(counted, visible);
            for (const auto& [document, labels] : needed) {
                EXPECT_EQ(bases().get("t", base, document, held).has_value(), may(document));
                EXPECT_EQ(bases().text("t", base, document, held).has_value(), may(document));
            }
            const auto conflicts = bases().conflicts("t", base, held, 1000);
            ASSERT_TRUE(conflicts);
            for (const auto& conflict : *conflicts) {
                for (const auto& statement : conflict.statements) {
                    EXPECT_TRUE(may(statement.at.document));
                }
            }
        }
    });
}

TEST_F(KnowledgeTest, WhoMayNotSeeADocumentCannotReplaceOrRemoveIt) {
    put("d", "# A\n\nApples.", {"hr"});
    NewDocument document;
    document.base = "b";
    document.id = "d";
    document.bytes = "mine now";
    EXPECT_EQ(bases().put("t", document, {"ops"}).error().code, Code::already_exists);
    EXPECT_EQ(bases().remove("t", "b", "d", {"ops"}).error().code, Code::not_found);
    EXPECT_TRUE(bases().remove("t", "b", "d", {"hr", "ops"}));
}

TEST_F(KnowledgeTest, ReadersSeeADocumentWholeOrNotAtAll) {
    const auto version = [](char letter) {
        std::string text;
        for (int i = 0; i < 40; ++i) {
            text += fmt::format("# Part {}\n\nrhubarb version{} part{}\n\n", i, letter, i);
        }
        return text;
    };
    put("d", version('a'));
    std::jthread writer([&] {
        for (int i = 0; i < 6; ++i) put("d", version(i % 2 == 0 ? 'b' : 'a'));
    });
    for (int i = 0; i < 200; ++i) {
        memory::knowledge::Question question;
        question.tenant = "t";
        question.text = "rhubarb";
        question.limit = 100;
        const auto found = bases().search(question);
        ASSERT_TRUE(found);
        std::set<std::string> versions;
        for (const auto& passage : found->passages) {
            versions.insert(passage.text.substr(passage.text.find("version"), 8));
        }
        EXPECT_LE(versions.size(), 1u);
    }
}

}  // namespace
}  // namespace test
