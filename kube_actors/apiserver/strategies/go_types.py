"""The order of fields in Kubernetes' own types of pods and volumes, which its messages show and no schema knows.

Data only: by the schema's short name, the fields by their Go names, those of embedded types among them.
"""

from __future__ import annotations

ORDER: dict[str, tuple[str, ...]] = {
    name: tuple(text.split())
    for name, text in {
        "PodSpec": """Volumes InitContainers Containers EphemeralContainers RestartPolicy TerminationGracePeriodSeconds
            ActiveDeadlineSeconds DNSPolicy NodeSelector ServiceAccountName AutomountServiceAccountToken NodeName
            SecurityContext ImagePullSecrets Hostname Subdomain SetHostnameAsFQDN Affinity SchedulerName Tolerations
            HostAliases PriorityClassName Priority PreemptionPolicy DNSConfig ReadinessGates RuntimeClassName Overhead
            EnableServiceLinks TopologySpreadConstraints OS SchedulingGates ResourceClaims Resources HostnameOverride
            SchedulingGroup""",
        "PodSecurityContext": """HostNetwork HostPID HostIPC ShareProcessNamespace HostUsers SELinuxOptions
            WindowsOptions RunAsUser RunAsGroup RunAsNonRoot SupplementalGroups SupplementalGroupsPolicy FSGroup
            FSGroupChangePolicy
            Sysctls SeccompProfile AppArmorProfile SELinuxChangePolicy""",
        "Container": """Name Image Command Args WorkingDir Ports EnvFrom Env Resources ResizePolicy RestartPolicy
            RestartPolicyRules VolumeMounts VolumeDevices LivenessProbe ReadinessProbe StartupProbe Lifecycle
            TerminationMessagePath TerminationMessagePolicy ImagePullPolicy SecurityContext Stdin StdinOnce TTY""",
        "ContainerPort": "Name HostPort ContainerPort Protocol HostIP",
        "EnvFromSource": "Prefix ConfigMapRef SecretRef",
        "EnvVar": "Name Value ValueFrom",
        "EnvVarSource": "FieldRef ResourceFieldRef ConfigMapKeyRef SecretKeyRef FileKeyRef",
        "ObjectFieldSelector": "APIVersion FieldPath",
        "ResourceFieldSelector": "ContainerName Resource Divisor",
        "ConfigMapKeySelector": "Name Key Optional",
        "SecretKeySelector": "Name Key Optional",
        "ResourceRequirements": "Limits Requests Claims",
        "ResourceClaim": "Name Request",
        "ContainerResizePolicy": "ResourceName RestartPolicy",
        "VolumeMount": "Name ReadOnly RecursiveReadOnly MountPath SubPath MountPropagation SubPathExpr",
        "VolumeDevice": "Name DevicePath",
        "Probe": """Exec HTTPGet TCPSocket GRPC InitialDelaySeconds TimeoutSeconds TerminationGracePeriodSeconds
            PeriodSeconds SuccessThreshold FailureThreshold""",
        "ExecAction": "Command",
        "HTTPGetAction": "Path Port Host Scheme HTTPHeaders",
        "HTTPHeader": "Name Value",
        "TCPSocketAction": "Port Host",
        "GRPCAction": "Port Service",
        "Lifecycle": "PostStart PreStop StopSignal",
        "LifecycleHandler": "Exec HTTPGet TCPSocket Sleep",
        "SleepAction": "Seconds",
        "SecurityContext": """Capabilities Privileged SELinuxOptions WindowsOptions RunAsUser RunAsGroup RunAsNonRoot
            ReadOnlyRootFilesystem AllowPrivilegeEscalation ProcMount SeccompProfile AppArmorProfile""",
        "Capabilities": "Add Drop",
        "SELinuxOptions": "User Role Type Level",
        "WindowsSecurityContextOptions": "GMSACredentialSpecName GMSACredentialSpec RunAsUserName HostProcess",
        "SeccompProfile": "Type LocalhostProfile",
        "AppArmorProfile": "Type LocalhostProfile",
        "Sysctl": "Name Value",
        "Toleration": "Key Operator Value Effect TolerationSeconds",
        "HostAlias": "IP Hostnames",
        "PodDNSConfig": "Nameservers Searches Options",
        "PodDNSConfigOption": "Name Value",
        "PodReadinessGate": "ConditionType",
        "PodSchedulingGate": "Name",
        "PodOS": "Name",
        "PodResourceClaim": "Name ResourceClaimName ResourceClaimTemplateName",
        "TopologySpreadConstraint": """MaxSkew TopologyKey WhenUnsatisfiable LabelSelector MinDomains NodeAffinityPolicy
            NodeTaintsPolicy MatchLabelKeys""",
        "Affinity": "NodeAffinity PodAffinity PodAntiAffinity",
        "NodeAffinity": (
            "RequiredDuringSchedulingIgnoredDuringExecution PreferredDuringSchedulingIgnoredDuringExecution"
        ),
        "PodAffinity": "RequiredDuringSchedulingIgnoredDuringExecution PreferredDuringSchedulingIgnoredDuringExecution",
        "PodAntiAffinity": (
            "RequiredDuringSchedulingIgnoredDuringExecution PreferredDuringSchedulingIgnoredDuringExecution"
        ),
        "NodeSelector": "NodeSelectorTerms",
        "NodeSelectorTerm": "MatchExpressions MatchFields",
        "NodeSelectorRequirement": "Key Operator Values",
        "PreferredSchedulingTerm": "Weight Preference",
        "WeightedPodAffinityTerm": "Weight PodAffinityTerm",
        "PodAffinityTerm": "LabelSelector Namespaces TopologyKey NamespaceSelector MatchLabelKeys MismatchLabelKeys",
        "LocalObjectReference": "Name",
        "SecretReference": "Name Namespace",
        "Volume": """Name HostPath EmptyDir GCEPersistentDisk AWSElasticBlockStore GitRepo Secret NFS ISCSI Glusterfs
            PersistentVolumeClaim RBD Quobyte FlexVolume Cinder CephFS Flocker DownwardAPI FC AzureFile ConfigMap
            VsphereVolume AzureDisk PhotonPersistentDisk Projected PortworxVolume ScaleIO StorageOS CSI Ephemeral
            Image""",
        "PersistentVolumeSource": """GCEPersistentDisk AWSElasticBlockStore HostPath Glusterfs NFS RBD Quobyte ISCSI
            FlexVolume Cinder CephFS FC Flocker AzureFile VsphereVolume AzureDisk PhotonPersistentDisk PortworxVolume
            ScaleIO Local StorageOS CSI""",
        "HostPathVolumeSource": "Path Type",
        "EmptyDirVolumeSource": "Medium SizeLimit",
        "SecretVolumeSource": "SecretName Items DefaultMode Optional",
        "ConfigMapVolumeSource": "Name Items DefaultMode Optional",
        "KeyToPath": "Key Path Mode",
        "NFSVolumeSource": "Server Path ReadOnly",
        "LocalVolumeSource": "Path FSType",
        "PersistentVolumeClaimVolumeSource": "ClaimName ReadOnly",
        "DownwardAPIVolumeSource": "Items DefaultMode",
        "DownwardAPIVolumeFile": "Path FieldRef ResourceFieldRef Mode",
        "ProjectedVolumeSource": "Sources DefaultMode",
        "VolumeProjection": "Secret DownwardAPI ConfigMap ServiceAccountToken ClusterTrustBundle PodCertificate",
        "ServiceAccountTokenProjection": "Audience ExpirationSeconds Path",
        "CSIVolumeSource": "Driver ReadOnly FSType VolumeAttributes NodePublishSecretRef",
        "CSIPersistentVolumeSource": """Driver VolumeHandle ReadOnly FSType VolumeAttributes ControllerPublishSecretRef
            NodeStageSecretRef NodePublishSecretRef ControllerExpandSecretRef NodeExpandSecretRef""",
        "ImageVolumeSource": "Reference PullPolicy",
        "PersistentVolumeClaimSpec": """AccessModes Selector Resources VolumeName StorageClassName VolumeMode DataSource
            DataSourceRef VolumeAttributesClassName""",
        "VolumeResourceRequirements": "Limits Requests",
        "TypedLocalObjectReference": "APIGroup Kind Name",
        "TypedObjectReference": "APIGroup Kind Name Namespace",
    }.items()
}

POD_CONTEXT = frozenset({"HostNetwork", "HostPID", "HostIPC", "ShareProcessNamespace", "HostUsers"})
"""Fields of a pod's spec that Kubernetes itself keeps in the pod's security context."""
