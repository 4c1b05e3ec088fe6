use std::sync::Arc;

use uuk_bundle::{Bundle, Manifest, Reuse};
use wasmtime::component::Component;

use crate::capabilities::config::Configuration;
use crate::capabilities::http::HttpUpstreams;
use crate::capabilities::log::PluginLog;
use crate::capabilities::sql::Statements;
use crate::compiled_cache::CompiledCache;
use crate::component::{self, ComponentError, Entry, OwnCompiled};
use crate::engine::{Engine, MEMORIES_PER_INSTANCE};
use crate::grant::Resources;
use crate::limits::CallLimits;
use crate::plugin::LoadError;
use crate::turns::Turns;

/// What the instances of one version of a plugin run, and all that they may reach. It knows none of them.
pub(crate) struct Environment {
    pub(crate) engine: Arc<Engine>,
    pub(crate) manifest: Manifest,
    pub(crate) entry: Entry,
    pub(crate) statements: Statements,
    pub(crate) upstreams: HttpUpstreams,
    pub(crate) resources: Arc<Resources>,
    pub(crate) configuration: Configuration,
    pub(crate) limits: CallLimits,
    /// Whether an instance may answer several calls: only what the author asks for and the agency grants.
    pub(crate) reuse: Option<Reuse>,
    pub(crate) turns: Arc<Turns>,
    /// Memories that an instance takes from the pool.
    pub(crate) memories: u32,
    pub(crate) log: PluginLog,
}

impl Environment {
    pub(crate) fn load(
        engine: &Arc<Engine>,
        cache: Option<&CompiledCache>,
        bundle: &Bundle,
        resources: Arc<Resources>,
    ) -> Result<Self, LoadError> {
        let manifest = bundle.manifest().clone();
        resources.cover(&manifest)?;
        let statements = Statements::compile(&manifest, |file| {
            bundle.part(file).and_then(|bytes| std::str::from_utf8(bytes).ok())
        })
        .map_err(LoadError::Statement)?;
        let upstreams = HttpUpstreams::new(&manifest.upstreams, |name| resources.upstream(name).cloned());
        // Values of the agency are refused beside a mapping, as where there is no schema.
        let mut configuration =
            Configuration::new(bundle.config_schema(), resources.configuration().clone())?;
        if let Some(tables) = bundle.mapping() {
            configuration = Configuration::of_mapping(tables);
        }

        let component = {
            let compiled = compiled(engine, cache, bundle.component())?;
            component::deserialize(engine, &compiled)?
        };
        component::check_imports(engine, &component, &manifest, bundle.mapping().is_some())?;
        let entry = Entry::link(engine, &component)?;
        if manifest.reuse.is_some() && matches!(entry, Entry::Http(_)) {
            return Err(ComponentError::NotReusable.into());
        }
        Ok(Self {
            entry,
            reuse: manifest.reuse.filter(|_| resources.reuses_instances()),
            statements,
            upstreams,
            configuration,
            limits: CallLimits::of(&manifest.limits),
            turns: engine.background.turns(&manifest.plugin.id),
            memories: memories(&component),
            log: PluginLog::new(manifest.plugin.id.clone(), manifest.plugin.version.to_string()),
            engine: Arc::clone(engine),
            resources,
            manifest,
        })
    }
}

/// Memories of an instance, and at least what every instance is reckoned with.
fn memories(component: &Component) -> u32 {
    let required = component.resources_required().map_or(0, |required| required.num_memories);
    required.max(MEMORIES_PER_INSTANCE)
}

fn compiled(
    engine: &Engine,
    cache: Option<&CompiledCache>,
    component: &[u8],
) -> Result<OwnCompiled, ComponentError> {
    if let Some(compiled) = cache.and_then(|cache| cache.load(engine, component)) {
        return Ok(compiled);
    }
    component::check_bytes(component)?;
    let compiled = OwnCompiled(engine.compiler.compile(engine, component)?.into());
    if let Some(cache) = cache {
        cache.store(engine, component, &compiled);
    }
    Ok(compiled)
}
