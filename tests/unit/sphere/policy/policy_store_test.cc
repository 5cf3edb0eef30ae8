#include "sphere/policy/policy_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <utime.h>

#include <filesystem>

#include "policy_fixture.h"
#include "support/temp_dir.h"

namespace sphere::policy {
namespace {

const std::string kAllow = "version: 1\nname: p\ntools: [{id: r, effect: allow, tools: [t]}]\n";
const std::string kWider = "version: 1\nname: p\ntools: [{id: r, effect: allow, tools: [u]}]\n";

class PolicyStoreTest : public testing::Test {
protected:
    PolicyStoreTest() {
        std::filesystem::create_directory(folder_);
        test::write_text(file_, kAllow);
    }
    std::unique_ptr<PolicyStore> open(const std::string& path) {
        auto store = PolicyStore::open(path, clock_);
        EXPECT_TRUE(store.has_value()) << store.error().message;
        return std::move(*store);
    }
    test::TempDir dir_;
    base::SystemClock clock_;
    std::string folder_ = dir_.file("policies"), file_ = folder_ + "/a.yaml";
};

/// S54.
TEST_F(PolicyStoreTest, AnEditedFileStopsEverythingUntilItIsLoaded) {
    for (const std::string& path : {file_, folder_}) {
        test::write_text(file_, kAllow);
        const auto store = open(path);
        EXPECT_EQ(store->decide(call("t")).effect, Effect::allow);
        test::write_text(file_, kWider);
        for (const char* tool : {"t", "u"}) {
            EXPECT_EQ(store->decide(call(tool)).cause, Decision::Cause::stale_policy);
            EXPECT_TRUE(store->decide(call(tool)).blocks());
        }
        EXPECT_EQ(store->admit({}).error().code, base::Code::failed_precondition);
        const std::string before = store->digest();
        ASSERT_TRUE(store->reload());
        EXPECT_NE(store->digest(), before);
        EXPECT_EQ(store->decide(call("u")).effect, Effect::allow);
        EXPECT_EQ(store->decide(call("t")).effect, Effect::deny);
    }
}

TEST_F(PolicyStoreTest, PoliciesOfTheProgramAreNeverStale) {
    const auto store = PolicyStore::of(kAllow, "built in", clock_);
    ASSERT_TRUE(store) << store.error().message;
    EXPECT_EQ((*store)->decide(call("t")).effect, Effect::allow);
    EXPECT_TRUE((*store)->check_fresh());
    const std::string digest = (*store)->digest();
    ASSERT_TRUE((*store)->reload());
    EXPECT_EQ((*store)->digest(), digest);
    EXPECT_EQ((*store)->source(), "built in");
    EXPECT_FALSE(PolicyStore::of("version: 2\n", "built in", clock_));
}

TEST_F(PolicyStoreTest, AnExplanationSaysThatTheFileWasChanged) {
    const auto store = open(file_);
    EXPECT_EQ(store->explain(call("t")).rules.size(), 1u);
    EXPECT_TRUE(store->check_fresh());
    test::write_text(file_, kWider);
    EXPECT_EQ(store->explain(call("t")).decision.cause, Decision::Cause::stale_policy);
    EXPECT_EQ(store->check_fresh().error().code, base::Code::failed_precondition);
}

TEST_F(PolicyStoreTest, AnEditOfTheSameLengthWithTheOldDateIsSeen) {
    const auto store = open(file_);
    struct stat before {};
    ASSERT_EQ(::stat(file_.c_str(), &before), 0);
    test::write_text(file_, kWider);
    const utimbuf times{before.st_atime, before.st_mtime};
    ASSERT_EQ(::utime(file_.c_str(), &times), 0);
    EXPECT_EQ(store->decide(call("t")).cause, Decision::Cause::stale_policy);
}

TEST_F(PolicyStoreTest, FilesThatComeOrGoAreSeen) {
    const auto store = open(folder_);
    test::write_text(folder_ + "/b.yaml", "version: 1\nname: q\ntenants: [acme]\n");
    EXPECT_EQ(store->decide(call("t")).cause, Decision::Cause::stale_policy);
    std::filesystem::remove(folder_ + "/b.yaml");
    EXPECT_EQ(store->decide(call("t")).effect, Effect::allow) << "put back";
    test::write_text(folder_ + "/note.txt", "no policy");
    EXPECT_EQ(store->decide(call("t")).effect, Effect::allow);
    std::filesystem::remove(file_);
    EXPECT_EQ(store->decide(call("t")).cause, Decision::Cause::stale_policy);
}

TEST_F(PolicyStoreTest, TheSameContentWrittenAnewIsFine) {
    const auto store = open(file_);
    std::filesystem::remove(file_);
    test::write_text(file_, kAllow);
    EXPECT_EQ(store->decide(call("t")).effect, Effect::allow);
}

TEST_F(PolicyStoreTest, AReloadThatFailsKeepsTheOldOnesStale) {
    const auto store = open(file_);
    test::write_text(file_, "version: 9\n");
    EXPECT_FALSE(store->reload());
    EXPECT_EQ(store->decide(call("t")).cause, Decision::Cause::stale_policy);
    test::write_text(file_, kAllow);
    EXPECT_EQ(store->decide(call("t")).effect, Effect::allow);
}

}  // namespace
}  // namespace sphere::policy
