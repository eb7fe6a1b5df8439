/** The table of kinds: where each holds its pods, as templates that its controller passes on, or as labels of pods that it writes. */

export interface Kind {
  /** Patterns of JSON pointers to pods, or to templates that become pods as they are; `*` is each item of a list, or each member. */
  readonly templates: readonly string[];
  /** Patterns of JSON pointers to labels of pods that the controller writes itself: no manifest can have the supervisor. */
  readonly labels: readonly string[];
}

const template = (...templates: string[]): Kind => ({ templates, labels: [] });
const written = (...labels: string[]): Kind => ({ templates: [], labels });
const under = (prefix: string, { templates, labels }: Kind): Kind => ({
  templates: templates.map((pointer) => `${prefix}${pointer}`),
  labels: labels.map((pointer) => `${prefix}${pointer}`),
});

/** Argo puts its executor before each command. Source: argoproj/argo-workflows, workflow/controller/workflowpod.go. */
const WORKFLOW = written('/podMetadata/labels', '/templateDefaults/metadata/labels', '/templates/*/metadata/labels');
/** Tekton puts its entrypoint before each command. Source: tektoncd/pipeline, pkg/pod/entrypoint.go and pod.go. */
const PIPELINE_TASKS = written('/tasks/*/taskSpec/metadata/labels', '/finally/*/taskSpec/metadata/labels');
/**
 * Knative's validation refuses image volumes and added capabilities unless flags of its own allow them.
 * Source: knative/serving, pkg/apis/config/features.go.
 */
const KNATIVE = written('/spec/template/metadata/labels');
/** KubeRay starts Ray by a shell, behind the command. Source: ray-project/kuberay, ray-operator/controllers/ray/common/pod.go. */
const RAY_CLUSTER = written(
  '/headGroupSpec/template/metadata/labels',
  '/headGroupSpec/labels',
  '/workerGroupSpecs/*/template/metadata/labels',
  '/workerGroupSpecs/*/labels',
);
const RAY_JOB: Kind = { templates: ['/submitterPodTemplate'], labels: under('/rayClusterSpec', RAY_CLUSTER).labels };
/** Spark appends its words to the image's program. Source: kubeflow/spark-operator, internal/controller/sparkapplication/submission.go. */
const SPARK = written('/driver/labels', '/driver/template/metadata/labels', '/executor/labels', '/executor/template/metadata/labels');
/** Source: argoproj/argo-rollouts, pkg/apis/rollouts/v1alpha1. */
const ANALYSIS = template('/spec/metrics/*/provider/job/spec/template');
const REPLICATED_JOBS = template('/replicatedJobs/*/template/spec/template');
const LEADER_WORKER = template('/leaderWorkerTemplate/leaderTemplate', '/leaderWorkerTemplate/workerTemplate');
const TEMPLATE = template('/spec/template');
const POD_TEMPLATE = template('/spec/podTemplate');

/** By group and kind. A group stands for all of its versions. */
export const KINDS: Readonly<Record<string, Kind>> = {
  '/Pod': template(''),
  '/PodTemplate': template('/template'),
  '/ReplicationController': TEMPLATE,
  'apps/Deployment': TEMPLATE,
  'apps/ReplicaSet': TEMPLATE,
  'apps/StatefulSet': TEMPLATE,
  'apps/DaemonSet': TEMPLATE,
  'batch/Job': TEMPLATE,
  'batch/CronJob': template('/spec/jobTemplate/spec/template'),
  // kubernetes-sigs/agent-sandbox, api/v1beta1 and extensions/api/v1beta1.
  'agents.x-k8s.io/Sandbox': POD_TEMPLATE,
  'extensions.agents.x-k8s.io/SandboxTemplate': POD_TEMPLATE,
  'extensions.agents.x-k8s.io/SandboxClaim': written('/spec/additionalPodMetadata/labels'),
  // openkruise/agents, api/v1alpha1.
  'agents.kruise.io/Sandbox': TEMPLATE,
  'agents.kruise.io/SandboxSet': TEMPLATE,
  'agents.kruise.io/SandboxTemplate': TEMPLATE,
  // openkruise/kruise, apis/apps/v1beta1.
  'apps.kruise.io/CloneSet': TEMPLATE,
  'apps.kruise.io/StatefulSet': TEMPLATE,
  'apps.kruise.io/DaemonSet': TEMPLATE,
  'apps.kruise.io/BroadcastJob': TEMPLATE,
  'apps.kruise.io/AdvancedCronJob': template(
    '/spec/template/jobTemplate/spec/template',
    '/spec/template/broadcastJobTemplate/spec/template',
  ),
  'argoproj.io/Rollout': TEMPLATE,
  'argoproj.io/Experiment': template('/spec/templates/*/template'),
  'argoproj.io/AnalysisRun': ANALYSIS,
  'argoproj.io/AnalysisTemplate': ANALYSIS,
  'argoproj.io/ClusterAnalysisTemplate': ANALYSIS,
  'argoproj.io/Workflow': under('/spec', WORKFLOW),
  'argoproj.io/WorkflowTemplate': under('/spec', WORKFLOW),
  'argoproj.io/ClusterWorkflowTemplate': under('/spec', WORKFLOW),
  'argoproj.io/CronWorkflow': under('/spec/workflowSpec', WORKFLOW),
  // kubernetes-sigs/jobset, api/jobset/v1alpha2; kubernetes-sigs/lws, api/leaderworkerset/v1.
  'jobset.x-k8s.io/JobSet': under('/spec', REPLICATED_JOBS),
  'leaderworkerset.x-k8s.io/LeaderWorkerSet': under('/spec', LEADER_WORKER),
  'disaggregatedset.x-k8s.io/DisaggregatedSet': under('/spec/roles/*/spec', LEADER_WORKER),
  // kubeflow/trainer: release-1.9, pkg/apis/kubeflow.org/v1; pkg/apis/trainer/v1alpha1.
  'kubeflow.org/PyTorchJob': template('/spec/pytorchReplicaSpecs/*/template'),
  'kubeflow.org/TFJob': template('/spec/tfReplicaSpecs/*/template'),
  'kubeflow.org/MPIJob': template('/spec/mpiReplicaSpecs/*/template'),
  'kubeflow.org/XGBoostJob': template('/spec/xgbReplicaSpecs/*/template'),
  'kubeflow.org/PaddleJob': template('/spec/paddleReplicaSpecs/*/template'),
  'kubeflow.org/JAXJob': template('/spec/jaxReplicaSpecs/*/template'),
  'trainer.kubeflow.org/TrainingRuntime': under('/spec/template/spec', REPLICATED_JOBS),
  'trainer.kubeflow.org/ClusterTrainingRuntime': under('/spec/template/spec', REPLICATED_JOBS),
  'trainer.kubeflow.org/TrainJob': written(
    '/spec/runtimePatches/*/trainingRuntimeSpec/template/spec/replicatedJobs/*/template/spec/template/metadata/labels',
  ),
  // Its schema drops image volumes, and the metadata of its template: kubeflow/notebooks, components/notebook-controller.
  'kubeflow.org/Notebook': written('/metadata/labels'),
  'ray.io/RayCluster': under('/spec', RAY_CLUSTER),
  'ray.io/RayJob': under('/spec', RAY_JOB),
  'ray.io/RayService': under('/spec/rayClusterConfig', RAY_CLUSTER),
  'ray.io/RayCronJob': under('/spec/jobTemplate', RAY_JOB),
  'serving.knative.dev/Service': KNATIVE,
  'serving.knative.dev/Configuration': KNATIVE,
  'serving.knative.dev/Revision': written('/metadata/labels'),
  'sparkoperator.k8s.io/SparkApplication': { templates: [], labels: ['/metadata/labels', ...under('/spec', SPARK).labels] },
  'sparkoperator.k8s.io/ScheduledSparkApplication': {
    templates: [],
    labels: ['/metadata/labels', ...under('/spec/template', SPARK).labels],
  },
  'tekton.dev/Task': written('/metadata/labels'),
  'tekton.dev/TaskRun': written('/metadata/labels'),
  'tekton.dev/Pipeline': { templates: [], labels: ['/metadata/labels', ...under('/spec', PIPELINE_TASKS).labels] },
  'tekton.dev/PipelineRun': {
    templates: [],
    labels: ['/metadata/labels', '/spec/taskRunSpecs/*/metadata/labels', ...under('/spec/pipelineSpec', PIPELINE_TASKS).labels],
  },
};

/** Groups of Kubernetes itself: their kinds that are not in the table hold no pods. */
export const OWN_GROUPS: readonly string[] = [
  '',
  'admissionregistration.k8s.io',
  'apiextensions.k8s.io',
  'apiregistration.k8s.io',
  'apps',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'autoscaling',
  'batch',
  'certificates.k8s.io',
  'coordination.k8s.io',
  'discovery.k8s.io',
  'events.k8s.io',
  'flowcontrol.apiserver.k8s.io',
  'networking.k8s.io',
  'node.k8s.io',
  'policy',
  'rbac.authorization.k8s.io',
  'resource.k8s.io',
  'scheduling.k8s.io',
  'storage.k8s.io',
];
