// The router over backends that only keep lists: who gets a box, who is never asked instead.
#include "sphere/backends/router.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace {

using base::Code;
using sphere::Isolation;
using sphere::SandboxId;
using sphere::backends::Backend;
using sphere::backends::Router;

/// Boxes as entries of a map; what else is asked is refused.
class ListedBoxes final : public sphere::Sphere {
public:
    explicit ListedBoxes(std::string name) : name_(std::move(name)) {}

    using Sphere::create;
    base::Result<SandboxId> create(const sphere::SandboxSpec& spec,
                                   const sphere::Secrets&) override {
        for (const auto& stop : stops) {
            if (stop.tenant.empty() || stop.tenant == spec.tenant) {
                return base::fail(Code::permission_denied, "stopped");
            }
        }
        sphere::SandboxInfo info;
        info.id = name_ + std::to_string(++made_);
        info.spec = spec;
        info.backend = name_;
        boxes_[info.id] = info;
        return info.id;
    }
    base::Result<void> destroy(const SandboxId& id) override {
        boxes_.erase(id);
        return {};
    }
    base::Result<sphere::ExecId> start(const SandboxId&, const sphere::ExecSpec&,
                                       sphere::ExecSink&) override {
        return made_;
    }
    base::Result<void> write_stdin(const SandboxId&, sphere::ExecId, std::string_view,
                                   bool) override {
        return {};
    }
    base::Result<void> resize_tty(const SandboxId&, sphere::ExecId, std::uint16_t,
                                  std::uint16_t) override {
        return {};
    }
    base::Result<void> signal(const SandboxId&, sphere::ExecId, int) override { return {}; }
    base::Result<void> pause(const SandboxId&) override { return {}; }
    base::Result<void> resume(const SandboxId&) override { return {}; }
    base::Result<sphere::SandboxInfo> info(const SandboxId& id) const override {
        const auto at = boxes_.find(id);
        if (at != boxes_.end()) return at->second;
        return base::fail(Code::not_found, "{} is not of {}", id, name_);
    }
    std::vector<sphere::SandboxInfo> list() const override {
        std::vector<sphere::SandboxInfo> all;
        for (const auto& [id, info] : boxes_) all.push_back(info);
        return all;
    }
    std::uint32_t emergency_stop(const sphere::StopScope& scope) override {
        stops.push_back(scope);
        return static_cast<std::uint32_t>(boxes_.size());
    }
    base::Result<void> lift_stop(const sphere::StopScope&) override {
        stops.clear();
        return {};
    }
    base::Result<int> open_workspace(const SandboxId&) override {
        return base::fail(Code::unimplemented, "no files");
    }

    std::vector<sphere::StopScope> stops;

private:
    const std::string name_;
    std::uint64_t made_ = 0;
    std::map<SandboxId, sphere::SandboxInfo> boxes_;
};

struct Opened {
    int times = 0;
    ListedBoxes* last = nullptr;
};

Backend backend(Isolation level, bool at_open, Opened& opened) {
    return {{level}, at_open, [level, &opened]() -> base::Result<std::unique_ptr<sphere::Sphere>> {
                ++opened.times;
                auto made = std::make_unique<ListedBoxes>(std::string(isolation_name(level)));
                opened.last = made.get();
                return std::unique_ptr<sphere::Sphere>(std::move(made));
            }};
}

Backend missing(Isolation level, bool at_open) {
    return {{level}, at_open, [level]() -> base::Result<std::unique_ptr<sphere::Sphere>> {
                return base::fail(Code::failed_precondition, "install what gives {}",
                                  isolation_name(level));
            }};
}

sphere::SandboxSpec of(Isolation level, std::string tenant = "default") {
    sphere::SandboxSpec spec;
    spec.isolation = level;
    spec.tenant = std::move(tenant);
    return spec;
}

TEST(Router, GivesABoxToTheBackendOfItsLevelOnly) {
    Opened full, gvisor;
    auto router = Router::open(
        {backend(Isolation::full, true, full), backend(Isolation::gvisor, false, gvisor)}, {});
    ASSERT_TRUE(router);
    EXPECT_EQ(gvisor.times, 0);
    const auto first = (*router)->create(of(Isolation::full));
    const auto second = (*router)->create(of(Isolation::gvisor));
    ASSERT_TRUE(first && second);
    EXPECT_EQ(gvisor.times, 1);
    EXPECT_EQ((*router)->info(*first)->backend, "full");
    EXPECT_EQ((*router)->info(*second)->backend, "gvisor");
    EXPECT_EQ((*router)->list().size(), 2u);
    EXPECT_EQ((*router)->info("sbx-nobody").error().code, Code::not_found);
}

TEST(Router, NoLevelStandsInForOneThatIsMissing) {
    Opened full;
    auto router =
        Router::open({backend(Isolation::full, true, full), missing(Isolation::gvisor, false)}, {});
    ASSERT_TRUE(router);
    for (const Isolation level : {Isolation::gvisor, Isolation::microvm, Isolation::process}) {
        const auto made = (*router)->create(of(level));
        ASSERT_FALSE(made);
        EXPECT_EQ(made.error().code, Code::failed_precondition);
    }
    EXPECT_TRUE((*router)->list().empty());
}

TEST(Router, AHostWithAStrongerLevelAloneStillServes) {
    Opened gvisor;
    auto router = Router::open(
        {missing(Isolation::full, true), backend(Isolation::gvisor, false, gvisor)}, {});
    ASSERT_TRUE(router) << router.error().message;
    EXPECT_TRUE((*router)->create(of(Isolation::gvisor)));
    const auto full = (*router)->create(of(Isolation::full));
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().message, "install what gives full");
}

TEST(Router, WithoutAnyLevelTheFirstReasonIsTold) {
    auto router =
        Router::open({missing(Isolation::full, true), missing(Isolation::gvisor, false)}, {});
    ASSERT_FALSE(router);
    EXPECT_EQ(router.error().message, "install what gives full");
}

TEST(Router, AnEmergencyStopReachesAllAndThoseThatBeginLater) {
    Opened full, gvisor, microvm;
    auto router = Router::open(
        {backend(Isolation::full, true, full), backend(Isolation::gvisor, false, gvisor),
         backend(Isolation::microvm, false, microvm)},
        {});
    ASSERT_TRUE(router);
    ASSERT_TRUE((*router)->create(of(Isolation::full)));
    ASSERT_TRUE((*router)->create(of(Isolation::gvisor)));
    EXPECT_EQ((*router)->emergency_stop({.tenant = "default"}), 2u);
    EXPECT_EQ(gvisor.last->stops.size(), 1u);
    const auto refused = (*router)->create(of(Isolation::microvm));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::permission_denied);
    EXPECT_TRUE((*router)->create(of(Isolation::microvm, "other")));
    ASSERT_TRUE((*router)->lift_stop({.tenant = "default"}));
    EXPECT_TRUE((*router)->create(of(Isolation::microvm)));
}

TEST(Router, TheMostBoxesAreCountedOverAllBackends) {
    Opened full, gvisor;
    auto router = Router::open(
        {backend(Isolation::full, true, full), backend(Isolation::gvisor, false, gvisor)},
        {.state_dir = {}, .sandboxes_max = 3});
    ASSERT_TRUE(router);
    ASSERT_TRUE((*router)->create(of(Isolation::full)));
    const auto second = (*router)->create(of(Isolation::gvisor));
    ASSERT_TRUE(second);
    ASSERT_TRUE((*router)->create(of(Isolation::full)));
    for (const Isolation level : {Isolation::full, Isolation::gvisor}) {
        const auto made = (*router)->create(of(level));
        ASSERT_FALSE(made);
        EXPECT_EQ(made.error().code, Code::resource_exhausted);
    }
    ASSERT_TRUE((*router)->destroy(*second));
    EXPECT_TRUE((*router)->create(of(Isolation::full)));
}

TEST(Router, ASpecIsCheckedBeforeABackendBegins) {
    Opened full, gvisor;
    auto router = Router::open(
        {backend(Isolation::full, true, full), backend(Isolation::gvisor, false, gvisor)}, {});
    ASSERT_TRUE(router);
    auto spec = of(Isolation::gvisor);
    spec.limits.gpu_share = 0.5;
    const auto made = (*router)->create(spec);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Code::unimplemented);
    EXPECT_EQ(gvisor.times, 0);
}

}  // namespace
