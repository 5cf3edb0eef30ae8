// A document that is forgotten leaves nothing of itself, and nothing of others goes with it.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/files/files.h"
#include "memory/facts/fact_store.h"
#include "memory/forget/forget.h"
#include "memory/knowledge/knowledge.h"
#include "memory/memory.h"
#include "support/manual_clock.h"
#include "support/temp_dir.h"

namespace test {
namespace {

using memory::forget::Receipt;

class ForgetDocument : public testing::TestWithParam<memory::Encryption> {
protected:
    void SetUp() override { open(); }
    void open() {
        store.reset();
        auto opened = memory::MemoryStore::open(
            {.location = dir.file("store"), .shards = 4, .encryption = GetParam()}, nullptr, clock);
        ASSERT_TRUE(opened) << opened.error().message;
        store = std::move(*opened);
    }
    void put(std::string id, std::string text, std::string base = "b") {
        memory::knowledge::NewDocument document;
        document.base = std::move(base);
        document.id = id;
        document.name = id + ".md";
        document.bytes = std::move(text);
        const auto stored = store->knowledge().put("t", document, {});
        ASSERT_TRUE(stored) << stored.error().message;
    }
    std::vector<memory::knowledge::Passage> find(std::string text) {
        memory::knowledge::Question question;
        question.tenant = "t";
        question.text = std::move(text);
        const auto found = store->knowledge().search(question);
        EXPECT_TRUE(found) << found.error().message;
        return found ? found->passages : std::vector<memory::knowledge::Passage>{};
    }
    memory::forget::Request about(std::string id, std::string base = "b") {
        return {.tenant = "t", .target = {.document = {std::move(base), std::move(id)}}, .by = "x"};
    }
    Receipt forget(const memory::forget::Request& request) {
        const auto receipt = store->forgetting().forget(request);
        EXPECT_TRUE(receipt) << receipt.error().message;
        const auto done = store->forgetting().finish();
        EXPECT_TRUE(done) << done.error().message;
        const auto kept = store->forgetting().receipt("t", receipt ? receipt->id : "");
        EXPECT_TRUE(kept) << kept.error().message;
        return kept.value_or(Receipt{});
    }
    std::size_t files_with(const std::string& bytes) {
        std::size_t count = 0;
        for (const auto& file : std::filesystem::recursive_directory_iterator(dir.path())) {
            if (!file.is_regular_file()) continue;
            const auto text = base::read_file(file.path().string());
            count += text && text->find(bytes) != std::string::npos ? 1 : 0;
        }
        return count;
    }

    TempDir dir;
    ManualClock clock;
    std::unique_ptr<memory::MemoryStore> store;
};

TEST_P(ForgetDocument, NothingOfItIsLeftInAnyFile) {
    put("old", "# Wombats\n\nA wombat digs with its claws at night.\n");
    put("old", "# Wombats\n\nA wombat digs with its feet.\n");  // what it said before goes, too
    put("kept", "# Emus\n\nAn emu runs fast over the plain.\n");
    EXPECT_GT(files_with("digs with its feet"), 0u);
    const auto preview = store->forgetting().preview(about("old"));
    ASSERT_TRUE(preview) << preview.error().message;
    EXPECT_EQ(preview->counts.at("documents"), 1u);
    EXPECT_EQ(preview->counts.at("memories"), 2u);
    EXPECT_EQ(find("wombat digs").size(), 1u) << "a preview changes nothing";

    const Receipt receipt = forget(about("old"));
    EXPECT_EQ(receipt.kind, "document");
    EXPECT_EQ(receipt.counts.at("documents"), 1u);
    EXPECT_EQ(receipt.counts.at("memories"), 2u);
    EXPECT_EQ(receipt.ids_sha256, preview->ids_sha256);
    EXPECT_TRUE(receipt.scan.clean()) << receipt.scan.hits;
    EXPECT_EQ(receipt.asked_sha256, asked_hash(about("old").target, receipt.salt));
    EXPECT_EQ(files_with("digs with its"), 0u);
    EXPECT_TRUE(find("wombat digs").empty());
    EXPECT_FALSE(store->knowledge().get("t", "b", "old", {}));
    EXPECT_EQ(find("emu runs").size(), 1u);
    EXPECT_EQ(store->forgetting().receipts("t", 10)->size(), 1u);
    open();
    EXPECT_TRUE(find("wombat digs").empty());
    EXPECT_EQ(find("emu runs").size(), 1u);
    EXPECT_EQ(store->stats().passages, 1u);
    EXPECT_EQ(store->stats().entries, 0u);
}

TEST_P(ForgetDocument, WhatAnotherDocumentSaysInTheSameWordsStays) {
    const std::string both = "Every quokka on the island smiles at visitors who bring fruit.";
    put("one", "# Title\n\n" + both + "\n");
    put("two", "# Title\n\n" + both + "\n", "c");
    const Receipt receipt = forget(about("one"));
    EXPECT_TRUE(receipt.scan.clean()) << receipt.scan.hits << " " << receipt.scan.shared;
    const auto found = find("quokka smiles");
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].at.document, "two");
    EXPECT_TRUE(found[0].also.empty());
    EXPECT_EQ(store->knowledge().text("t", "c", "two", {})->find(both) != std::string::npos, true);
    forget(about("two", "c"));
    EXPECT_EQ(files_with("quokka"), 0u);
}

TEST_P(ForgetDocument, WhatWasMadeFromItGoesAndProvenanceWithIt) {
    put("source", "# Numat\n\nThe numbat eats termites all day.\n");
    const auto passage = find("numbat termites").at(0).id;
    memory::NewEntry note{.scope = {.tenant = "t", .user = "ann"},
                          .content = "numbats eat termites"};
    note.sources = {{.source = passage}};
    const auto made = store->add(note)->id;
    note.content = "a note of its own";
    note.sources = {};
    const auto kept = store->add(note)->id;
    std::vector<memory::facts::Assertion> said(2);
    for (auto& one : said) {
        one.scope.tenant = "t";
        one.subject = "numbat";
        one.predicate = "eats";
        one.cardinality = memory::facts::Cardinality::many;
    }
    said[0].object = "termites";
    said[0].sources = {{.source = "source"}};
    said[1].object = "ants";
    said[1].sources = {{.source = passage}, {.source = kept}};
    ASSERT_TRUE(store->facts("t").add(said));

    const Receipt receipt = forget(about("source"));
    EXPECT_EQ(receipt.counts.at("facts"), 1u);
    EXPECT_EQ(receipt.counts.at("memories"), 2u) << "a passage and a note";
    EXPECT_TRUE(receipt.scan.clean());
    EXPECT_FALSE(store->get("t", made));
    EXPECT_TRUE(store->get("t", kept));
    const auto facts = store->facts("t").query({.scope = {.tenant = "t"}});
    ASSERT_TRUE(facts) << facts.error().message;
    ASSERT_EQ(facts->size(), 1u);
    EXPECT_EQ((*facts)[0].said.object, "ants");
    ASSERT_EQ((*facts)[0].said.sources.size(), 1u);
    EXPECT_EQ((*facts)[0].said.sources[0].source, kept);
}

TEST_P(ForgetDocument, ADocumentThatIsNotThereIsAnErrorAndNothingHappens) {
    put("there", "# A\n\nSome words.\n");
    for (const auto& request : {about("missing"), about("there", "other")}) {
        const auto receipt = store->forgetting().forget(request);
        ASSERT_FALSE(receipt);
        EXPECT_EQ(receipt.error().code, base::Code::not_found);
    }
    auto both = about("there");
    both.target.subject = "somebody";
    EXPECT_EQ(store->forgetting().forget(both).error().code, base::Code::invalid_argument);
    EXPECT_EQ(find("some words").size(), 1u);
    EXPECT_TRUE(store->forgetting().receipts("t", 10)->empty());
}

INSTANTIATE_TEST_SUITE_P(WithAndWithoutKeys, ForgetDocument,
                         testing::Values(memory::Encryption::off, memory::Encryption::subject));

}  // namespace
}  // namespace test
