// The backends there are, in the order of their levels, and what this host says of each.
#include <algorithm>

#include "sphere/backends/criu.h"
#include "sphere/backends/router.h"
#include "sphere/microvm/vm_maker.h"
#include "sphere/native/host_inspection.h"
#include "sphere/native/native_sphere.h"
#include "sphere/oci/container_maker.h"

namespace sphere {
namespace {

using backends::Backend;
using base::Code;

HostFact native_fact(const HostReport& report, Isolation level) {
    HostFact fact{fmt::format("isolation {}", isolation_name(level)), Finding::works, "native", ""};
    if (std::ranges::find(report.levels, level) != report.levels.end()) return fact;
    fact.finding = Finding::missing;
    fact.detail = "";
    if (level == Isolation::process) {
        fact.consequence = "not offered; full is stronger and needs no more of a host";
        return fact;
    }
    for (const HostFact& other : report.facts) {
        if (other.finding != Finding::missing) continue;
        fact.detail += (fact.detail.empty() ? "without " : ", ") + other.primitive;
    }
    fact.consequence = "see what is missing above";
    return fact;
}

std::vector<Backend> all_backends(const SphereOptions& options, const base::Clock& clock) {
    std::vector<Backend> all;
    all.push_back({{Isolation::full}, true, [options, &clock] {
                       return native::NativeSphere::open(options, clock);
                   }});
    all.push_back({{Isolation::process}, false, [options, &clock] {
                       return native::NativeSphere::open(options, clock, Isolation::process);
                   }});
    all.push_back({{Isolation::gvisor}, false, [options, &clock] {
                       return oci::open_gvisor(options, clock);
                   }});
    all.push_back({{Isolation::microvm}, false, [options, &clock] {
                       return microvm::open_microvm(options, clock);
                   }});
    return all;
}

HostFact gvisor_fact(const GvisorOptions& options) {
    const base::SystemClock clock;
    const auto found = oci::find_runsc(options, clock);
    if (!found) return {"isolation gvisor", Finding::missing, "", found.error().message};
    return {"isolation gvisor", Finding::works,
            fmt::format("{} {}", found->program, found->arguments.front()), ""};
}

HostFact microvm_fact(const MicrovmOptions& options) {
    const auto found = microvm::find_boot(options);
    if (!found) return {"isolation microvm", Finding::missing, "", found.error().message};
    return {"isolation microvm", Finding::works,
            fmt::format("{}{}; not booted for this", found->vmm,
                        found->emulate ? ", emulated" : ", /dev/kvm"),
            ""};
}

}  // namespace

HostReport inspect_host(const BackendOptions& options) {
    HostReport report = native::inspect();
    const HostFact process = native_fact(report, Isolation::process);
    const HostFact full = native_fact(report, Isolation::full);
    report.facts.push_back(process);
    report.facts.push_back(full);
    report.facts.push_back(gvisor_fact(options.gvisor));
    if (report.facts.back().finding == Finding::works) report.levels.push_back(Isolation::gvisor);
    report.facts.push_back(microvm_fact(options.microvm));
    if (report.facts.back().finding == Finding::works) report.levels.push_back(Isolation::microvm);
    report.facts.push_back(backends::criu_fact());
    return report;
}

base::Result<std::unique_ptr<Sphere>> Sphere::open(const SphereOptions& options,
                                                   const base::Clock& clock) {
    return backends::Router::open(all_backends(options, clock), options);
}

}  // namespace sphere
